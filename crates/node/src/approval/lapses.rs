//! What was granted and ends by itself: whoever has asked is told when it does.

use std::sync::Arc;

use protocol::Timestamp;
use store::Transaction;
use tokio_util::sync::CancellationToken;

use super::{Asker, Question, standing, tell};
use crate::grant::Status;
use crate::registry::{self, grants};
use crate::round_log::chain;
use crate::site::Site;

/// Tells of every grant that expires or is used up, until the node ends.
pub(crate) async fn run(site: Arc<Site>, shutdown: CancellationToken) {
    loop {
        let next = next_end(&site);
        let passed = async {
            match next {
                Some(end) => site.clock.wait_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = site.reconsider.notified() => {}
            () = passed => {}
        }
        tell_changes(&site);
    }
}

/// When the next grant ends that has an end.
fn next_end(site: &Site) -> Option<Timestamp> {
    let now = site.clock.now();
    let all = |transaction: &Transaction<'_>| grants::all(transaction, &site.seal);
    let all: Result<_, registry::Error> = site.database.read_blocking(all);
    let all = all.inspect_err(|error| {
        tracing::error!(error = chain(error), "the grants cannot be read");
    });
    let ends = all.unwrap_or_default().into_iter().filter_map(|one| {
        let grant = one.grant.filter(|grant| grant.status(one.used, now) == Status::Approved)?;
        grant.expires_at
    });
    ends.min()
}

/// Answers those again whose answer is another one now.
fn tell_changes(site: &Site) {
    let asked: Vec<(Asker, Question, Option<_>)> = {
        let questions = site.questions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let asked = questions.iter();
        asked.map(|(asker, one)| (*asker, one.question.clone(), one.told)).collect()
    };
    for (asker, question, told) in asked {
        let now = standing(site, &question);
        // One that has had no answer yet is answered by whoever looks its plan up.
        if told.is_some_and(|told| told != now) {
            tell(site, asker, &question.plan, now, &site.note_about(&question.plan));
        }
    }
}
