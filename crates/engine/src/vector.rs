//! Our own loops over numbers, in the widest registers that the processor has.

/// Runs a loop compiled for AVX2 where the processor has it.
///
/// The program is built for every x86-64 processor, whose common registers hold four numbers of
/// single precision; AVX2's hold eight. Neither form fuses a product with a sum or changes an order,
/// so both give the same bits. What the loop calls must be inlined, or it stays in the narrow form.
#[inline(always)]
#[expect(clippy::inline_always, reason = "only what is inlined is compiled for the wide registers")]
pub(crate) fn widest<Output>(work: impl FnOnce() -> Output) -> Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = pulp::x86::V3::try_new() {
        return wide.vectorize(work);
    }
    work()
}
