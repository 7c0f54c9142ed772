//! Memory for large models.

/// Asks the system for large pages behind these numbers, before they are touched.
///
/// A model of 100 MB is 25,000 small pages, each of which costs a fault when it is first written:
/// together longer than it takes to read the file into them. The numbers stay as they are.
pub(super) fn prefer(values: &mut [f32]) {
    let bytes = size_of_val(values);
    if bytes >= WORTH_IT {
        advise(values.as_mut_ptr().cast(), bytes);
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe interface advises the system about memory")]
fn advise(begin: *mut u8, bytes: usize) {
    // The advice is for whole pages; what lies outside of the first and the last is not ours.
    let skipped = begin.align_offset(PAGE);
    let Some(whole) = bytes.checked_sub(skipped).map(|left| left - left % PAGE) else { return };
    // SAFETY: the pages lie within one allocation that is borrowed for writing, and this advice
    // changes neither their content nor their protection. A refusal leaves small pages.
    let _refused = unsafe { libc::madvise(begin.add(skipped).cast(), whole, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_begin: *mut u8, _bytes: usize) {}

/// Below this a model is read in a moment anyway.
const WORTH_IT: usize = 8 << 20;

/// What the advice must be aligned to; a system with larger pages refuses it.
#[cfg(target_os = "linux")]
const PAGE: usize = 4096;
