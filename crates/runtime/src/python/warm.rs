//! An interpreter that is warmed up once and forks every job; whoever waits for it hears an interruption meanwhile.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Code;
use sandbox::{ForkServer, Job, JobOptions, Launcher, ServerOptions};

use super::environment::{self, Environment};
use crate::failure::with_causes;
use crate::{Failure, Monitor};

/// The interpreter of one environment: cold at first, and again after many jobs or once it has ended.
#[derive(Default)]
pub(super) struct WarmInterpreter {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// The state is another now.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    server: Server,
    /// Warm-ups that were begun.
    begun: u64,
    /// The last warm-up that failed, and why.
    failed: Option<(u64, Failure)>,
}

#[derive(Default)]
enum Server {
    #[default]
    Cold,
    /// Somebody warms it up, or forks a job from it.
    Busy,
    Warm(Box<Warm>),
}

/// An interpreter that has loaded its libraries, and how many jobs it has forked.
struct Warm {
    server: ForkServer,
    jobs: u32,
}

/// How an interpreter is warmed up.
pub(super) struct Beginning {
    /// What it must be still.
    pub(super) environment: Environment,
    pub(super) launcher: Launcher,
    pub(super) options: ServerOptions,
}

impl WarmInterpreter {
    /// Forks a job, once the interpreter is warm; `begin` says how it is started where that must be done first.
    ///
    /// An interruption ends the waiting at once. The warm-up then goes on for whoever comes next.
    pub(super) fn fork(
        &self,
        options: &JobOptions,
        begin: impl Fn() -> Beginning,
        monitor: &mut dyn Monitor,
    ) -> Result<Job, Failure> {
        let mut awaited = None;
        loop {
            let (warm, attempt) = self.take(&begin, awaited, monitor)?;
            awaited = Some(attempt);
            let Some(mut warm) = warm else { continue };
            match warm.server.fork(options.clone()) {
                // It has ended since: another one is started.
                Err(sandbox::Error::Gone) => self.shared.put(Server::Cold),
                forked => {
                    warm.jobs += 1;
                    self.shared.put(Server::Warm(warm));
                    return forked.map_err(|error| unavailable(&error));
                }
            }
        }
    }

    /// Takes the warm interpreter, for as long as a fork needs it, or waits a turn for it; gives the number of the
    /// warm-up that is waited for, too.
    fn take(
        &self,
        begin: &impl Fn() -> Beginning,
        awaited: Option<u64>,
        monitor: &mut dyn Monitor,
    ) -> Result<(Option<Box<Warm>>, u64), Failure> {
        if let Some(interruption) = monitor.interruption() {
            let local = "ended while the interpreter was warmed up";
            return Err(Failure::new(interruption.code(), local));
        }
        let mut state = self.shared.lock();
        if let (Some(awaited), Some((attempt, failure))) = (awaited, &state.failed)
            && *attempt >= awaited
        {
            return Err(failure.clone());
        }
        match std::mem::replace(&mut state.server, Server::Busy) {
            Server::Warm(warm) if warm.jobs < MOST_JOBS => Ok((Some(warm), state.begun)),
            Server::Warm(_) | Server::Cold => {
                state.begun += 1;
                let attempt = state.begun;
                drop(state);
                self.warm_up(begin(), attempt)?;
                Ok((None, attempt))
            }
            Server::Busy => {
                let attempt = state.begun;
                let turn = self.shared.changed.wait_timeout(state, TURN);
                drop(turn.unwrap_or_else(PoisonError::into_inner));
                Ok((None, awaited.unwrap_or(attempt)))
            }
        }
    }

    /// Warms an interpreter up on a thread of its own, because nothing can interrupt it.
    fn warm_up(
        &self,
        Beginning { environment, launcher, options }: Beginning,
        attempt: u64,
    ) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("warm-up".to_owned());
        let started = thread.spawn(move || {
            let server = environment.check_unchanged().map_err(|error| not_as_registered(&error));
            let server = server.and_then(|()| {
                ForkServer::start(&launcher, &options).map_err(|error| unavailable(&error))
            });
            match server {
                Ok(server) => shared.put(Server::Warm(Box::new(Warm { server, jobs: 0 }))),
                Err(failure) => shared.refuse(attempt, failure),
            }
        });
        started.map(drop).map_err(|error| {
            self.shared.put(Server::Cold);
            Failure::new(Code::NodeInternal, format!("no thread for the warm-up: {error}"))
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, server: Server) {
        self.lock().server = server;
        self.changed.notify_all();
    }

    fn refuse(&self, attempt: u64, failure: Failure) {
        let mut state = self.lock();
        state.server = Server::Cold;
        state.failed = Some((attempt, failure));
        drop(state);
        self.changed.notify_all();
    }
}

fn not_as_registered(error: &environment::Error) -> Failure {
    let hint = "see `wardround node python check`; with --update it is registered as it is now";
    Failure::new(Code::SandboxUnavailable, format!("{}: {hint}", with_causes(error)))
}

fn unavailable(error: &sandbox::Error) -> Failure {
    Failure::new(Code::SandboxUnavailable, with_causes(error))
}

/// Jobs that one interpreter forks before it is started anew.
const MOST_JOBS: u32 = 500;

/// How long is waited before anybody looks for an interruption again.
const TURN: Duration = Duration::from_millis(20);
