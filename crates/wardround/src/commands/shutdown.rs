//! How daemons end: on SIGTERM and Ctrl-C, in bounded time.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Runs a daemon on a runtime of its own.
pub(crate) fn daemon(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no asynchronous runtime: {error}")))?;
    let outcome = runtime.block_on(work);
    // A blocking step that does not end must not keep the process; its journal says what is left.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    outcome
}

/// Waits until the process is asked to end.
pub(crate) async fn asked() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// What is said where a daemon cannot have its folder.
pub(crate) const HELD_HINT: &str =
    "a folder serves one process at a time; end the other one, or name another folder with --dir";
