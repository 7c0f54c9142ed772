//! Attacks by jobs of a fork server.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sandbox::{End, Error, ForkServer, Job, JobOptions, Level, Limit, Outcome, ServerOptions};

use crate::settings::{PYTHON, Planted, Setting, all, tight};

fn server_options(setting: &Setting) -> ServerOptions {
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python");
    let mut options = ServerOptions::new(PYTHON, package);
    options.minimum = setting.level.min(Level::B);
    options.job = "attacks:serve".to_owned();
    options.path = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile"))];
    options
}

fn server(setting: &Setting) -> ForkServer {
    let server = ForkServer::start(&setting.launcher, &server_options(setting));
    let server = server.unwrap_or_else(|error| panic!("{}: {error}", setting.name));
    assert_eq!(server.level(), setting.level, "{}", setting.name);
    server
}

fn options(planted: &Planted) -> JobOptions {
    JobOptions { read: vec![planted.dataset()], limits: tight(), threads: 1 }
}

fn say(job: &Job, words: &[&str]) {
    job.socket().write_all(format!("{}\n", words.join("\t")).as_bytes()).expect("it listens");
}

fn ended(job: Job) -> End {
    job.wait(Duration::from_secs(30)).expect("the warden is there")
}

/// The path of another job's scratch folder. Where each job has an interpreter of its own, the folders have the same
/// path in file systems that do not see each other.
fn foreign(setting: &Setting, scratch: &Path) -> PathBuf {
    if setting.level == Level::C { "/dev/shm/job-7".into() } else { scratch.to_owned() }
}

/// An honest job, which must work at once.
fn honest(server: &mut ForkServer, planted: &Planted) -> PathBuf {
    let job = server.fork(options(planted)).expect("the server forks");
    say(&job, &["honest"]);
    let mut answer = String::new();
    job.socket().read_to_string(&mut answer).expect("it answers and ends");
    let scratch = job.scratch().to_owned();
    let end = ended(job);
    let printed = end.output.stderr.text();
    assert_eq!((answer.as_str(), end.outcome), ("done\n", Outcome::Ok), "{printed}");
    scratch
}

#[test]
fn what_a_job_was_not_granted_is_refused() {
    for setting in all() {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        let earlier = honest(&mut server, &planted);
        let job = server.fork(options(&planted)).expect("the server forks");
        let (secret, dataset) = (planted.secret(), planted.dataset());
        let theirs = foreign(&setting, &earlier);
        let native = if setting.mounts { "refused" } else { "confined" };
        let paths = [&secret, &dataset, &theirs].map(|path| path.to_string_lossy());
        say(&job, &["refused", &paths[0], &paths[1], &paths[2], "1", native]);
        let end = ended(job);
        let printed = end.output.stderr.text();
        assert_eq!(end.outcome, Outcome::Ok, "{}: {printed}", setting.name);
        honest(&mut server, &planted);
    }
}

#[test]
fn a_job_that_oversteps_is_named_and_the_next_works() {
    let calls = ["ptrace", "mount", "setns", "setuid", "io_uring_setup"];
    let limits = [
        ("memory", Limit::Memory),
        ("memory in threads", Limit::Memory),
        ("disk", Limit::Disk),
        ("many small files", Limit::Disk),
        ("threads", Limit::Processes),
        ("output", Limit::Output),
    ];
    for setting in all() {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        let calls = calls.map(|call| (["fatal", call], setting.verdict_on(call)));
        let limits = limits.map(|(name, limit)| (["limit", name], Outcome::Limit(limit)));
        for (words, expected) in calls.into_iter().chain(limits) {
            let job = server.fork(options(&planted)).expect("the server forks");
            say(&job, &words);
            assert_eq!(ended(job).outcome, expected, "{} {words:?}", setting.name);
            honest(&mut server, &planted);
        }
    }
}

#[test]
fn a_job_s_time_is_limited_and_it_is_ended_on_request() {
    for setting in all() {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        let mut short = options(&planted);
        short.limits.wall = Duration::from_millis(500);
        let job = server.fork(short).expect("the server forks");
        say(&job, &["limit", "outlive"]);
        assert_eq!(ended(job).outcome, Outcome::Limit(Limit::Wall), "{}", setting.name);
        let mut busy = options(&planted);
        busy.limits.processor = Some(Duration::from_secs(1));
        let job = server.fork(busy).expect("the server forks");
        say(&job, &["limit", "spin"]);
        assert_eq!(ended(job).outcome, Outcome::Limit(Limit::Cpu), "{}", setting.name);
        let job = server.fork(options(&planted)).expect("the server forks");
        say(&job, &["limit", "outlive"]);
        let begun = Instant::now();
        job.kill();
        assert_eq!(ended(job).outcome, Outcome::Failed);
        assert!(begun.elapsed() < Duration::from_secs(2), "{}", setting.name);
        let job = server.fork(options(&planted)).expect("the server forks");
        job.end(Outcome::Ok);
        assert_eq!(ended(job).outcome, Outcome::Ok);
        honest(&mut server, &planted);
    }
}

#[test]
fn jobs_work_side_by_side_and_do_not_see_each_other() {
    for setting in all() {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        let one = server.fork(options(&planted)).expect("the server forks");
        let other = server.fork(options(&planted)).expect("the server forks");
        let theirs = foreign(&setting, one.scratch());
        assert_ne!(theirs, other.scratch());
        let paths = [&planted.secret(), &planted.dataset(), &theirs]
            .map(|path: &PathBuf| path.to_string_lossy().into_owned());
        let native = if setting.mounts { "refused" } else { "confined" };
        say(&other, &["refused", &paths[0], &paths[1], &paths[2], "1", native]);
        let end = ended(other);
        assert_eq!(end.outcome, Outcome::Ok, "{}", end.output.stderr.text());
        say(&one, &["honest"]);
        assert_eq!(ended(one).outcome, Outcome::Ok);
    }
}

#[test]
fn a_server_that_cannot_be_warm_says_why() {
    for setting in all().into_iter().take(1) {
        let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python");
        let mut options = ServerOptions::new(PYTHON, package);
        options.warm_up = vec!["a_module_that_is_not_there".to_owned()];
        let error = ForkServer::start(&setting.launcher, &options).expect_err("it is not there");
        assert!(error.to_string().contains("a_module_that_is_not_there"), "{error}");
        let options = ServerOptions::new("/bin/true", package);
        let error = ForkServer::start(&setting.launcher, &options).expect_err("it is not Python");
        assert!(error.to_string().contains("/bin/true"), "{error}");
    }
}

#[test]
fn a_server_is_not_started_without_landlock_unless_the_caller_allows_it() {
    for setting in all().into_iter().filter(|setting| setting.level == Level::C) {
        let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../../python");
        let options = ServerOptions::new(PYTHON, package);
        let error = ForkServer::start(&setting.launcher, &options).expect_err("level B is needed");
        assert!(matches!(error, Error::Level { reached: Level::C, .. }), "{error}");
    }
}

#[test]
fn a_user_of_its_own_has_a_number_of_processes_that_the_system_enforces() {
    let ask = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[1])";
    for setting in all() {
        let mut command = sandbox::Command::new(PYTHON).argument("-c").argument(ask);
        command.read = sandbox::interpreter_paths(PYTHON.as_ref()).expect("it is Python");
        command.limits = tight();
        command.minimum = Level::C;
        let end = sandbox::run(&setting.launcher, &command).expect("it runs");
        let told = end.output.stdout.text();
        let most: Option<u32> = told.trim().parse().ok().filter(|most| *most < 1000);
        if setting.level == Level::A {
            let most = most.unwrap_or_else(|| panic!("{}: {told}", setting.name));
            assert!(most > tight().processes, "the warden sees it first: {most}");
        } else if setting.user.is_some() {
            assert_eq!(most, None, "{}: others may have that user", setting.name);
        }
    }
}

#[test]
fn a_path_that_is_not_there_is_refused_and_the_server_goes_on() {
    for setting in all().into_iter().take(1) {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        let mut missing = options(&planted);
        missing.read.push(PathBuf::from("/nowhere/dataset"));
        let error = server.fork(missing).expect_err("it is not there");
        assert!(error.to_string().contains("/nowhere/dataset"), "{error}");
        honest(&mut server, &planted);
    }
}

/// What a job reads of some paths.
fn shown(server: &mut ForkServer, planted: &Planted, paths: &[PathBuf]) -> (String, Level) {
    let mut options = options(planted);
    // A grant inside another is nothing more.
    options.read.push(planted.data());
    let job = server.fork(options).expect("the server forks");
    let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
    let words: Vec<String> = ["show".to_owned()].into_iter().chain(paths).collect();
    say(&job, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let mut answer = String::new();
    job.socket().read_to_string(&mut answer).expect("it answers and ends");
    let level = job.level();
    assert_eq!(ended(job).outcome, Outcome::Ok);
    (answer, level)
}

#[test]
fn what_lies_in_a_closed_folder_is_granted_and_nothing_beside_it() {
    for setting in all() {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        planted.close();
        for _ in 0..2 {
            let asked = [planted.data(), planted.secret()];
            let (told, level) = shown(&mut server, &planted, &asked);
            let (data, secret) = told.split_once('\n').expect("there are two answers");
            assert_eq!((data, level), ("granted", setting.level), "{}", setting.name);
            assert!(["PermissionError", "FileNotFoundError"].contains(&secret), "{told}");
        }
        // What comes in its place is granted the next time.
        std::fs::rename(planted.dataset(), planted.secret().with_file_name("old")).expect("own");
        std::fs::create_dir(planted.dataset()).expect("it was moved");
        std::fs::write(planted.data(), "newer").expect("there is room");
        planted.open();
        planted.close();
        let (told, _) = shown(&mut server, &planted, &[planted.data()]);
        assert_eq!(told, "newer", "{}", setting.name);
        assert_eq!(std::fs::read_to_string(planted.secret()).expect("it is there"), "a key");
    }
}

#[test]
fn what_a_user_of_its_own_cannot_read_is_granted_to_the_caller_s_user_which_is_level_b() {
    for setting in all().into_iter().filter(|setting| setting.level == Level::A) {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        assert_eq!(shown(&mut server, &planted, &[planted.data()]).1, Level::A);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(planted.data(), mode).expect("own");
        for _ in 0..2 {
            let told = shown(&mut server, &planted, &[planted.data()]);
            assert_eq!(told, ("granted".to_owned(), Level::B));
        }
        let mut strict = server_options(&setting);
        strict.minimum = Level::A;
        let mut strict = ForkServer::start(&setting.launcher, &strict).expect("it reaches A");
        let error = strict.fork(options(&planted)).expect_err("it cannot read the data");
        assert!(matches!(error, Error::Barred { .. }), "{error}");
    }
}

#[test]
fn nothing_is_left_when_the_server_is_dropped() {
    for setting in all() {
        let planted = Planted::new(setting.user);
        let mut server = server(&setting);
        let job = server.fork(options(&planted)).expect("the server forks");
        let scratch = job.scratch().to_owned();
        say(&job, &["limit", "outlive"]);
        drop(job);
        drop(server);
        assert!(!scratch.exists(), "{}: {}", setting.name, scratch.display());
        assert!(!Path::new("/dev/shm/job-1").exists());
    }
}
