//! The one filter of system calls that every confined process runs under.

mod assembler;
mod calls;
mod install;

pub(crate) use install::{Decision, answer, install, receive};

use assembler::{Assembler, Condition, Test, Verdict};

/// What differs between the processes that are confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What happens when the process would start a program.
    pub(crate) execution: Execution,
    /// Whose user it has.
    pub(crate) user: User,
}

/// What a process may execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    /// The warden is asked, and lets exactly the first start happen.
    AskOnce,
    /// Nothing.
    Refused,
}

/// Whose user a confined process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum User {
    /// One of its own, which owns nothing but its scratch folder.
    Own,
    /// That of whoever started it, who may own the data.
    Same,
}

/// A filter that can be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    assembled: Assembler,
}

impl Filter {
    /// Generates the filter.
    pub(crate) fn generate(kind: Kind) -> Self {
        let mut assembler = Assembler::default();
        assembler.architecture(ARCHITECTURE);
        #[cfg(target_arch = "x86_64")]
        assembler.numbers_from(X32);
        for call in both(calls::ALLOWED, calls::ALLOWED_OLD) {
            assembler.call(call.word(), Verdict::Allow);
        }
        judged(&mut assembler, kind.execution);
        let attributes = match kind.user {
            User::Own => Verdict::Allow,
            User::Same => REFUSE,
        };
        for call in both(calls::ATTRIBUTES, calls::ATTRIBUTES_OLD) {
            assembler.call(call.word(), attributes);
        }
        for call in both(calls::REFUSED, calls::REFUSED_OLD) {
            assembler.call(call.word(), REFUSE);
        }
        for call in both(calls::FATAL, calls::FATAL_OLD) {
            assembler.call(call.word(), Verdict::Ask);
        }
        assembler.end(Verdict::Refuse(libc::ENOSYS));
        Self { assembled: assembler }
    }

    /// The instructions as the kernel reads them, eight bytes each.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 * self.assembled.instructions.len());
        for instruction in &self.assembled.instructions {
            bytes.extend(instruction.code.to_ne_bytes());
            bytes.extend([instruction.if_true, instruction.if_false]);
            bytes.extend(instruction.value.to_ne_bytes());
        }
        bytes
    }

    /// Where in [`Filter::bytes`] the process's own identifier belongs, four bytes each.
    pub(crate) fn own_identifiers(&self) -> Vec<usize> {
        self.assembled.own_identifiers.iter().map(|index| 8 * index + 4).collect()
    }

    /// The filter for the process with this identifier.
    pub(crate) fn for_process(mut self, identifier: u32) -> Self {
        for index in &self.assembled.own_identifiers {
            self.assembled.instructions[*index].value = identifier;
        }
        self
    }
}

/// A system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    name: &'static str,
    number: i64,
}

impl Call {
    fn word(&self) -> u32 {
        u32::try_from(self.number).expect("numbers of system calls are small")
    }
}

/// The name of a call, as an operator reads it.
pub(crate) fn name_of(architecture: u32, number: i32) -> String {
    if architecture != ARCHITECTURE {
        return format!("{number} of architecture {architecture:#x}");
    }
    let known = [
        (calls::FATAL, calls::FATAL_OLD),
        (calls::JUDGED, calls::JUDGED_OLD),
        (calls::REFUSED, calls::REFUSED_OLD),
        (calls::ATTRIBUTES, calls::ATTRIBUTES_OLD),
        (calls::ALLOWED, calls::ALLOWED_OLD),
    ];
    let mut all = known.into_iter().flat_map(|(new, old)| both(new, old));
    let found = all.find(|call| call.number == i64::from(number));
    found.map_or_else(|| number.to_string(), |call| call.name.to_owned())
}

/// Whether a notification is about starting a program.
pub(crate) fn is_execution(architecture: u32, number: i32) -> bool {
    let number = i64::from(number);
    architecture == ARCHITECTURE && (number == libc::SYS_execve || number == libc::SYS_execveat)
}

fn both(new: &'static [Call], old: &'static [Call]) -> impl Iterator<Item = &'static Call> {
    new.iter().chain(old)
}

fn judged(assembler: &mut Assembler, execution: Execution) {
    let start = match execution {
        Execution::AskOnce => Verdict::Ask,
        Execution::Refused => REFUSE,
    };
    assembler.call(word(libc::SYS_execve), start);
    assembler.call(word(libc::SYS_execveat), start);
    assembler.call_by_arguments(
        word(libc::SYS_clone),
        &[
            (&[Condition(0, Test::HasOne(NEW_NAMESPACES))], Verdict::Ask),
            (&[Condition(0, Test::HasAll(THREAD))], Verdict::Allow),
        ],
        REFUSE,
    );
    // Shared memory without a name would be held without being counted as the process's own.
    assembler.call_by_arguments(
        word(libc::SYS_mmap),
        &[(&[Condition(3, Test::HasAll(SHARED_AND_ANONYMOUS))], REFUSE)],
        Verdict::Allow,
    );
    for call in
        [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo]
    {
        let own: &[(&[Condition], Verdict)] = &[(&[Condition(0, Test::IsSelf)], Verdict::Allow)];
        assembler.call_by_arguments(word(call), own, REFUSE);
    }
    assembler.call_by_arguments(
        word(libc::SYS_prlimit64),
        &[(&[Condition(0, Test::Is(0)), Condition(2, Test::IsZero)], Verdict::Allow)],
        REFUSE,
    );
    let own: &[(&[Condition], Verdict)] = &[(&[Condition(0, Test::Is(0))], Verdict::Allow)];
    assembler.call_by_arguments(word(libc::SYS_sched_setaffinity), own, REFUSE);
    by_number(assembler, libc::SYS_prctl, 0, PROCESS_CONTROLS);
    by_number(assembler, libc::SYS_ioctl, 1, DEVICE_CONTROLS);
    by_number(assembler, libc::SYS_fcntl, 1, DESCRIPTOR_CONTROLS);
    #[cfg(target_arch = "x86_64")]
    by_number(assembler, libc::SYS_arch_prctl, 0, THREAD_POINTERS);
}

/// Allows a call where one of its arguments is one of these numbers.
fn by_number(assembler: &mut Assembler, call: i64, argument: usize, allowed: &[u32]) {
    let conditions: Vec<[Condition; 1]> =
        allowed.iter().map(|number| [Condition(argument, Test::Is(*number))]).collect();
    let cases: Vec<(&[Condition], Verdict)> =
        conditions.iter().map(|one| (&one[..], Verdict::Allow)).collect();
    assembler.call_by_arguments(word(call), &cases, REFUSE);
}

fn word(call: i64) -> u32 {
    u32::try_from(call).expect("numbers of system calls are small")
}

const REFUSE: Verdict = Verdict::Refuse(libc::EPERM);

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// Numbers with this bit belong to a second interface of the same architecture.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

const THREAD: u32 = 0x0001_0000;
/// Every `CLONE_NEW*` flag that `clone` knows, and `CLONE_PARENT`, `CLONE_PTRACE`, `CLONE_VFORK` stay refused
/// because they do not make a thread.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
const SHARED_AND_ANONYMOUS: u32 = 0x21;
/// Names of threads and of memory, the own death signal's and dumpability's reading, huge pages.
const PROCESS_CONTROLS: &[u32] = &[2, 3, 15, 16, 21, 23, 39, 41, 42, 0x5356_4d41, 0x4155_5856];
/// What is asked of a terminal before buffering, bytes waiting, close-on-exec, blocking.
const DEVICE_CONTROLS: &[u32] = &[0x5401, 0x802c_542a, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];
/// Copies, flags, a pipe's size, the seals' reading. No locks: they would bar others from the data.
const DESCRIPTOR_CONTROLS: &[u32] = &[0, 1, 2, 3, 4, 5, 1030, 1032, 1034];
/// The thread pointers and the reading of shadow stacks.
#[cfg(target_arch = "x86_64")]
const THREAD_POINTERS: &[u32] = &[0x1001, 0x1002, 0x1003, 0x1004, 0x3001, 0x5005];

#[cfg(test)]
mod tests;
