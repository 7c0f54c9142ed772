//! The launcher: a process with one thread that tries the layers, enters namespaces, and becomes the warden.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use crate::channel::Channel;
use crate::control_groups::Groups;
use crate::filter::{Execution, Filter, Kind, User};
use crate::grants;
use crate::message::{Prepare, Reason, Report, Request};
use crate::system::{self, Forked};
use crate::warden::confine::switch_user;
use crate::warden::passage;
use crate::warden::place::{self, Place};
use crate::warden::{Enclosure, Identity, Warden};
use crate::{Bounds, Facts, Level, filter, landlock, probe};

/// What the launcher's program calls when it is started as one, with the arguments that are the launcher's own.
///
/// It must be called before a second thread is made. Its standard input is one end of a channel to
/// whoever started it; by hand it can only be asked for a probe of the self-test.
#[must_use]
pub fn launch(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.as_slice() {
        [] => ExitCode::from(u8::from(attend().is_err())),
        [flag, name, rest @ ..] if flag == "--probe" => probe::run(&name.to_string_lossy(), rest),
        _ => ExitCode::from(2),
    }
}

fn attend() -> io::Result<()> {
    // A process that leads a group already has a session of its own.
    let _leads_already = rustix::process::setsid();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let channel = Channel::from_descriptor(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(received) = channel.receive::<Request>()? else { return Ok(()) };
    let (Request::Prepare(prepare), Ok([stdout, stderr])) =
        (received.message, <[OwnedFd; 2]>::try_from(received.descriptors))
    else {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    };
    // Groups are found by paths that namespaces would hide.
    let groups = Groups::delegated();
    let facts = find(&prepare, groups.is_some());
    channel.send(&Report::Found(facts.clone()), &[])?;
    if facts.level() < prepare.minimum || facts.level() == Level::D {
        return Ok(());
    }
    if facts.namespaces {
        // Namespaces end with their first process, and leave nothing. Without them the warden has to
        // wipe, so it must live on when its caller dies; it notices because its channel closes.
        let signal = Some(rustix::process::Signal::KILL);
        rustix::process::set_parent_process_death_signal(signal)?;
        place::enter_namespaces()?;
        if let Forked::Parent(warden) = system::fork()? {
            drop((channel, stdout, stderr));
            let null = std::fs::File::open("/dev/null")?;
            system::duplicate_to(null.as_fd(), 0)?;
            return system::reap(warden).map(drop);
        }
        rustix::process::set_parent_process_death_signal(signal)?;
    }
    if let Err(error) = stay(&channel, prepare, (&facts, groups), [stdout, stderr]) {
        let reason = Reason::Fact(format!("the sandbox cannot be made: {error}"));
        channel.send(&Report::Refused { job: None, reason }, &[])?;
    }
    Ok(())
}

fn stay(
    channel: &Channel,
    prepare: Prepare,
    (facts, groups): (&Facts, Option<Groups>),
    outputs: [OwnedFd; 2],
) -> io::Result<()> {
    let place = Place::make(facts.namespaces, &prepare.scratch)?;
    let identity = if facts.own_user { Identity::Own(own_user()) } else { Identity::Same };
    let landlock = facts.landlock >= landlock::OLDEST;
    let mut warden = Warden::new(channel, Enclosure { place, identity, landlock, groups });
    warden.attend(prepare, outputs)
}

fn find(prepare: &Prepare, has_groups: bool) -> Facts {
    let namespaces = tried(|| {
        place::enter_namespaces()?;
        place::hide_groups()?;
        // A process namespace begins with the first child, and without one nothing can be mounted of it.
        match system::fork()? {
            Forked::Child => {
                let made = Place::make(true, &prepare.scratch);
                system::exit_now(i32::from(made.is_err()));
            }
            Forked::Parent(child) => match system::reap(child)?.status {
                0 => Ok(()),
                _ => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            },
        }
    });
    let is_open = |path: &Path| {
        grants::barred_to_others(path).is_none() || (namespaces && passage::is_possible(path))
    };
    let own_user = prepare.user == User::Own
        && rustix::process::geteuid().is_root()
        && everything(prepare).all(is_open)
        && tried(|| {
            if namespaces {
                place::enter_namespaces()?;
            }
            switch_user(own_user())
        });
    let filter = tried(|| {
        rustix::thread::set_no_new_privs(true)?;
        let kind = Kind { execution: Execution::Refused, user: User::Same };
        filter::install(&Filter::generate(kind)).map(drop)
    });
    let bounds = if has_groups { Bounds::Cgroup } else { Bounds::Watcher };
    Facts { landlock: landlock::version(), filter, namespaces, own_user, bounds }
}

/// Everything that a user of its own must be able to read or pass; scratch folders are made below the last where
/// nothing can be mounted.
fn everything(prepare: &Prepare) -> impl Iterator<Item = &Path> {
    let paths = prepare.read.iter().map(AsRef::as_ref);
    paths.chain([prepare.program.as_path(), prepare.scratch.as_path()])
}

/// Whether something works, tried in a process of its own.
fn tried(attempt: impl FnOnce() -> io::Result<()>) -> bool {
    match system::fork() {
        Ok(Forked::Child) => system::exit_now(i32::from(attempt().is_err())),
        Ok(Forked::Parent(child)) => system::reap(child).is_ok_and(|reaped| reaped.status == 0),
        Err(_) => false,
    }
}

/// A user that owns nothing: numbers that distributions leave to nobody, and different ones for launchers that run
/// at the same time.
fn own_user() -> u32 {
    FIRST_USER + std::process::id() % USERS
}

const FIRST_USER: u32 = 60_600;
const USERS: u32 = 500;
