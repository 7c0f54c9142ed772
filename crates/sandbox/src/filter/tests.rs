//! Runs the generated filter in a small interpreter, so that every verdict can be asked for.

use super::assembler::Instruction;
use super::*;

fn verdict(filter: &Filter, architecture: u32, number: i64, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(u32::try_from(number).expect("numbers are small").to_ne_bytes());
    data.extend(architecture.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    for argument in arguments {
        data.extend(argument.to_ne_bytes());
    }
    let mut accumulator = 0_u32;
    let mut at = 0;
    loop {
        let Instruction { code, if_true, if_false, value } = filter.assembled.instructions[at];
        at += 1;
        let taken = match code {
            0x20 => {
                let at = value as usize;
                let word = data[at..at + 4].try_into().expect("four bytes are four bytes");
                accumulator = u32::from_ne_bytes(word);
                continue;
            }
            0x54 => {
                accumulator &= value;
                continue;
            }
            0x06 => return value,
            0x15 => accumulator == value,
            0x35 => accumulator >= value,
            0x45 => accumulator & value != 0,
            other => panic!("the filter has no instruction {other:#x}"),
        };
        at += usize::from(if taken { if_true } else { if_false });
    }
}

const ALLOWED: u32 = 0x7fff_0000;
const REFUSED: u32 = 0x0005_0001;
const MISSING: u32 = 0x0005_0000 | 38;
const ASKED: u32 = 0x7fc0_0000;

fn asked(execution: Execution, user: User, number: i64, arguments: [u64; 6]) -> u32 {
    let filter = Filter::generate(Kind { execution, user }).for_process(77);
    verdict(&filter, ARCHITECTURE, number, arguments)
}

fn own(number: i64, arguments: [u64; 6]) -> u32 {
    asked(Execution::Refused, User::Own, number, arguments)
}

#[test]
fn every_call_of_the_lists_has_the_verdict_of_its_list() {
    let filter = Filter::generate(Kind { execution: Execution::Refused, user: User::Same });
    let lists = [
        (calls::ALLOWED, calls::ALLOWED_OLD, ALLOWED),
        (calls::REFUSED, calls::REFUSED_OLD, REFUSED),
        (calls::ATTRIBUTES, calls::ATTRIBUTES_OLD, REFUSED),
        (calls::FATAL, calls::FATAL_OLD, ASKED),
    ];
    for (new, old, expected) in lists {
        for call in both(new, old) {
            assert_eq!(verdict(&filter, ARCHITECTURE, call.number, [0; 6]), expected, "{call:?}");
        }
    }
}

#[test]
fn what_is_in_no_list_does_not_exist() {
    assert_eq!(own(libc::SYS_clone3, [0; 6]), MISSING);
    assert_eq!(own(5000, [0; 6]), MISSING);
}

#[test]
fn another_architecture_is_asked_about() {
    let filter = Filter::generate(Kind { execution: Execution::Refused, user: User::Own });
    assert_eq!(verdict(&filter, 0x4000_0003, libc::SYS_read, [0; 6]), ASKED);
    assert!(name_of(0x4000_0003, 3).contains("architecture"));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_second_interface_of_the_architecture_is_asked_about() {
    assert_eq!(own(0x4000_0000 | libc::SYS_read, [0; 6]), ASKED);
}

#[test]
fn threads_are_allowed_and_processes_and_namespaces_are_not() {
    let thread = 0x003d_0f00;
    assert_eq!(own(libc::SYS_clone, [thread, 0, 0, 0, 0, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_clone, [17, 0, 0, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_clone, [0x1000_0000 | 17, 0, 0, 0, 0, 0]), ASKED);
    assert_eq!(own(libc::SYS_clone, [thread | 0x4000_0000, 0, 0, 0, 0, 0]), ASKED);
}

#[test]
fn signals_reach_only_the_process_itself() {
    assert_eq!(own(libc::SYS_tgkill, [77, 77, 6, 0, 0, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_kill, [77, 9, 0, 0, 0, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_kill, [0, 9, 0, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_kill, [1, 9, 0, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_kill, [u64::from(u32::MAX), 9, 0, 0, 0, 0]), REFUSED);
}

#[test]
fn limits_are_read_and_not_set() {
    assert_eq!(own(libc::SYS_prlimit64, [0, 7, 0, 4096, 0, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_prlimit64, [0, 7, 4096, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_prlimit64, [0, 7, 1 << 32, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_prlimit64, [5, 7, 0, 4096, 0, 0]), REFUSED);
}

#[test]
fn memory_that_is_shared_without_a_name_is_refused() {
    assert_eq!(own(libc::SYS_mmap, [0, 4096, 3, 0x22, u64::MAX, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_mmap, [0, 4096, 3, 0x21, u64::MAX, 0]), REFUSED);
    assert_eq!(own(libc::SYS_mmap, [0, 4096, 3, 0x01, 5, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_mmap, [0, 4096, 3, 0x23, u64::MAX, 0]), REFUSED);
}

#[test]
fn controls_are_chosen_by_number() {
    assert_eq!(own(libc::SYS_prctl, [15, 4096, 0, 0, 0, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_prctl, [4, 1, 0, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_ioctl, [0, 0x5401, 0, 0, 0, 0]), ALLOWED);
    assert_eq!(own(libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_fcntl, [3, 1033, 0, 0, 0, 0]), REFUSED);
    assert_eq!(own(libc::SYS_fcntl, [3, 8, 1, 0, 0, 0]), REFUSED);
}

#[test]
fn a_program_starts_by_leave_or_not_at_all() {
    let asking = |number| asked(Execution::AskOnce, User::Own, number, [0; 6]);
    assert_eq!(asking(libc::SYS_execve), ASKED);
    assert_eq!(asking(libc::SYS_execveat), ASKED);
    assert_eq!(own(libc::SYS_execve, [0; 6]), REFUSED);
    assert_eq!(own(libc::SYS_execveat, [0; 6]), REFUSED);
}

#[test]
fn only_a_user_of_its_own_changes_modes_and_times() {
    assert_eq!(asked(Execution::Refused, User::Same, libc::SYS_fchmodat, [0; 6]), REFUSED);
    assert_eq!(own(libc::SYS_fchmodat, [0; 6]), ALLOWED);
}

#[test]
fn the_bytes_and_their_places_are_those_of_the_instructions() {
    let filter = Filter::generate(Kind { execution: Execution::Refused, user: User::Own });
    let mut bytes = filter.bytes();
    assert!(!filter.own_identifiers().is_empty());
    for at in filter.own_identifiers() {
        assert_eq!(bytes[at..at + 4], [0; 4]);
        bytes[at..at + 4].copy_from_slice(&77_u32.to_ne_bytes());
    }
    assert_eq!(bytes, filter.for_process(77).bytes());
}
