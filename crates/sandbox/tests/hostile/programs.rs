//! Attacks by a program of its own.

use std::time::{Duration, Instant};

use sandbox::{Command, End, Level, Limit, Outcome};

use crate::settings::{ATTACKS, PYTHON, Planted, Setting, all, tight};

/// Runs an attack and asserts that what was planted is untouched.
fn attack(setting: &Setting, words: &[&str], change: impl FnOnce(&mut Command)) -> End {
    let planted = Planted::new(setting.user);
    let mut command = Command::new(PYTHON);
    command.arguments = ["-I", "-B", ATTACKS].map(str::to_owned).to_vec();
    command.arguments.extend(words.iter().map(|word| (*word).to_owned()));
    if words[0] == "refused" {
        let paths = [planted.secret(), planted.dataset()];
        command.arguments.extend(paths.map(|path| path.to_string_lossy().into_owned()));
        let native = if setting.mounts { "refused" } else { "confined" };
        command.arguments.extend(["/dev/shm/job-7", "0", native].map(str::to_owned));
    }
    command.read = sandbox::interpreter_paths(PYTHON.as_ref()).expect("there is an interpreter");
    command.read.extend([planted.dataset(), ATTACKS.into()]);
    command.limits = tight();
    command.minimum = setting.level.min(Level::B);
    change(&mut command);
    let end = sandbox::run(&setting.launcher, &command)
        .unwrap_or_else(|error| panic!("{} {words:?}: {error}", setting.name));
    assert_eq!(end.level, setting.level, "{} {words:?}", setting.name);
    assert_eq!(std::fs::read_to_string(planted.data()).expect("it is there"), "granted");
    end
}

#[test]
fn what_is_not_granted_is_refused() {
    for setting in all() {
        let end = attack(&setting, &["refused"], |_| {});
        let printed = end.output.stderr.text();
        assert_eq!(end.outcome, Outcome::Ok, "{}: {printed}", setting.name);
        assert!(end.output.stdout.text().contains("attacks were refused"));
    }
}

#[test]
fn what_no_honest_program_calls_ends_it_and_is_named() {
    let calls = [
        "ptrace",
        "process_vm_readv",
        "io_uring_setup",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "unshare",
        "setns",
        "mount",
        "pivot_root",
        "chroot",
        "add_key",
        "keyctl",
        "init_module",
        "name_to_handle_at",
        "open_by_handle_at",
        "setuid",
        "personality",
    ];
    for setting in all() {
        for call in calls {
            let end = attack(&setting, &["fatal", call], |_| {});
            assert_eq!(end.outcome, setting.verdict_on(call), "{} {call}", setting.name);
            assert!(!end.output.stderr.text().contains("went on"), "{} {call}", setting.name);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_only_this_architecture_has_ends_it_too() {
    let calls = [
        "process_vm_writev",
        "pidfd_getfd",
        "umount2",
        "fsopen",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "request_key",
        "finit_module",
        "kexec_load",
        "setgid",
        "setresuid",
        "setgroups",
        "modify_ldt",
        "swapon",
        "reboot",
        "acct",
        "quotactl",
        "move_pages",
        "kcmp",
        "iopl",
        "process_madvise",
    ];
    for setting in all().into_iter().take(1) {
        for call in calls {
            let end = attack(&setting, &["fatal", call], |_| {});
            assert_eq!(end.outcome, Outcome::Policy { syscall: call.to_owned() });
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn other_doors_to_the_kernel_end_it() {
    for setting in all() {
        let end = attack(&setting, &["fatal", "second interface"], |_| {});
        assert_eq!(end.outcome, Outcome::Policy { syscall: "1073741863".to_owned() });
        let end = attack(&setting, &["fatal", "namespace by clone"], |_| {});
        assert_eq!(end.outcome, Outcome::Policy { syscall: "clone".to_owned() });
        // A kernel without 32-bit support ends the process itself.
        let end = attack(&setting, &["fatal", "32-bit call"], |_| {});
        let named =
            matches!(&end.outcome, Outcome::Policy { syscall } if syscall.contains("architecture"));
        assert!(named || end.outcome == Outcome::Failed, "{:?}", end.outcome);
    }
}

#[test]
fn whatever_is_used_too_much_has_its_own_name() {
    let limits = [
        ("memory", Limit::Memory),
        ("memory in threads", Limit::Memory),
        ("page tables", Limit::Memory),
        ("disk", Limit::Disk),
        ("many small files", Limit::Disk),
        ("folders in folders", Limit::Disk),
        ("threads", Limit::Processes),
        ("output", Limit::Output),
    ];
    for setting in all() {
        for (name, limit) in limits {
            let begun = Instant::now();
            let end = attack(&setting, &["limit", name], |_| {});
            assert_eq!(end.outcome, Outcome::Limit(limit), "{} {name}", setting.name);
            assert!(begun.elapsed() < Duration::from_secs(15), "{} {name}", setting.name);
        }
    }
}

#[test]
fn time_is_limited_on_the_clock_and_on_the_processor() {
    let short = |command: &mut Command| {
        command.limits.wall = Duration::from_millis(700);
    };
    let busy = |command: &mut Command| {
        command.limits.processor = Some(Duration::from_secs(1));
    };
    for setting in all() {
        for name in ["sleep", "outlive"] {
            let begun = Instant::now();
            let end = attack(&setting, &["limit", name], short);
            assert_eq!(end.outcome, Outcome::Limit(Limit::Wall), "{} {name}", setting.name);
            assert!(begun.elapsed() < Duration::from_secs(5), "{} {name}", setting.name);
        }
        for name in ["spin", "spin in threads", "catch the processor's signal"] {
            let end = attack(&setting, &["limit", name], busy);
            assert_eq!(end.outcome, Outcome::Limit(Limit::Cpu), "{} {name}", setting.name);
        }
    }
}

#[test]
fn memory_stays_near_its_limit() {
    for setting in all() {
        let end = attack(&setting, &["limit", "memory"], |_| {});
        let limit = tight().memory;
        assert!(end.peak_memory > limit / 2, "{}: {}", setting.name, end.peak_memory);
        assert!(end.peak_memory < limit + (256 << 20), "{}: {}", setting.name, end.peak_memory);
    }
}

#[test]
fn nothing_runs_below_the_level_that_is_demanded() {
    for setting in all().into_iter().filter(|setting| setting.level < Level::A) {
        let mut command = Command::new("/bin/true");
        command.minimum = Level::A;
        let error = sandbox::run(&setting.launcher, &command).expect_err("it must not run");
        let sandbox::Error::Level { reached, required, facts } = error else {
            panic!("{}: {error}", setting.name)
        };
        assert_eq!((reached, required), (setting.level, Level::A));
        assert!(!facts.missing().is_empty());
    }
}

#[test]
fn a_program_that_is_not_there_or_cannot_start_is_an_error() {
    for setting in all() {
        let at = |program| Command { minimum: Level::C, ..Command::new(program) };
        let command = at("/nowhere/program");
        let error = sandbox::run(&setting.launcher, &command).expect_err("it is not there");
        assert!(error.to_string().contains("/nowhere/program"), "{error}");
        let command = at("/etc/hostname");
        let error = sandbox::run(&setting.launcher, &command).expect_err("it is no program");
        assert!(error.to_string().contains("does not start"), "{error}");
    }
}

#[test]
fn the_self_test_finds_the_level_of_every_setting() {
    for setting in all() {
        let report = sandbox::self_test(&setting.launcher).expect("the launcher starts");
        let text: Vec<String> = report.probes.iter().map(ToString::to_string).collect();
        assert!(report.holds(), "{}: {text:#?}", setting.name);
        assert_eq!(report.level, setting.level, "{}: {:?}", setting.name, report.missing);
    }
}
