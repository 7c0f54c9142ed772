//! What rounds leave behind goes when its time is over: the owner says how long, a sweep does it.

mod files;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{Digest, RoundId, Timestamp};
use serde::{Deserialize, Serialize};
use store::ArtifactStore;
use store::artifact::Holding;

use crate::carrier::blocking;
use crate::config::days;
use crate::registry::rounds;
use crate::round_log::{RoundLog, chain};
use crate::site::Site;
use crate::{kept_state, registry};

/// Something that the node keeps for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What it is.
    pub what: KeptKind,
    /// How many there are.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// For how many days each is kept; none for what has no end.
    pub days: Option<u64>,
    /// When the oldest was made, or delivered.
    pub oldest_at: Option<Timestamp>,
    /// When the oldest goes.
    pub until_at: Option<Timestamp>,
}

/// What a node keeps for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptKind {
    /// Delivered rounds with their replies.
    Rounds,
    /// The owner's logs of rounds.
    RoundLogs,
    /// Those among them that hold what plans printed, or traces of their errors.
    Tracebacks,
    /// Files of delivered updates.
    Updates,
    /// Plans, parameters, and updates that are not delivered yet.
    Cache,
    /// Experiments of which Python plans keep something.
    PlanStates,
    /// The audit log.
    AuditLog,
}

/// What the sweep remembers, so that it does not look at the same log again.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    cleared: Arc<Mutex<HashSet<RoundId>>>,
}

impl KeptKind {
    /// The words for it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Rounds => "rounds",
            Self::RoundLogs => "round logs",
            Self::Tracebacks => "tracebacks",
            Self::Updates => "updates",
            Self::Cache => "cache",
            Self::PlanStates => "plan states",
            Self::AuditLog => "audit log",
        }
    }
}

impl Sweeper {
    /// Drops what is older than it is kept for; what cannot be dropped now is tried again by the next sweep.
    pub(crate) async fn sweep(&mut self, site: &Arc<Site>) {
        self.forget_rounds(site).await;
        let outcome = match self.clear_logs(site).await {
            Ok(()) => drop_files(site).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::warn!(error = chain(&error), "old files cannot be looked up");
        }
        let store = site.carrier.store().clone();
        if let Err(error) = blocking(move || store.expire_partials()).await {
            tracing::warn!(error = chain(&error), "broken transfers cannot be dropped");
        }
        if let Err(error) = retire_state(site).await {
            tracing::warn!(error, "what plans have kept cannot be dropped");
        }
    }

    async fn forget_rounds(&mut self, site: &Arc<Site>) {
        let before = before(site.clock.now(), site.keep_replies());
        let forgotten =
            site.database.write(move |transaction| rounds::forget(transaction, before)).await;
        match forgotten {
            Ok(forgotten) => {
                for round in forgotten {
                    RoundLog::at(site.folder.round_log(round)).delete();
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "old rounds cannot be dropped"),
        }
    }

    /// Takes plans' words out of logs, and then the logs.
    async fn clear_logs(&self, site: &Arc<Site>) -> Result<(), registry::Error> {
        let open: HashSet<RoundId> = site.database.read(rounds::open).await?.into_iter().collect();
        let (folder, now) = (site.folder.round_logs(), site.clock.now());
        let periods = site.config.retention;
        let whole = before(now, days(periods.keep_round_logs_days));
        let words = before(now, days(periods.keep_tracebacks_days));
        let cleared = Arc::clone(&self.cleared);
        let clear = move || -> std::io::Result<()> {
            let mut cleared = cleared.lock().unwrap_or_else(PoisonError::into_inner);
            for log in files::logs(&folder)?.into_iter().filter(|log| !open.contains(&log.round)) {
                if log.written_at < whole {
                    RoundLog::at(log.path).delete();
                    cleared.remove(&log.round);
                } else if log.written_at < words && cleared.insert(log.round) {
                    files::clear_words(&log)?;
                }
            }
            Ok(())
        };
        if let Err(error) = blocking(clear).await {
            tracing::warn!(%error, "old logs cannot be dropped");
        }
        Ok(())
    }
}

/// Drops delivered updates and files that nothing needs; what is needed is pinned.
async fn drop_files(site: &Arc<Site>) -> Result<(), registry::Error> {
    let delivered = site.database.read(rounds::delivered_updates).await?;
    let (store, periods, now) =
        (site.carrier.store().clone(), site.config.retention, site.clock.now());
    let dropped = blocking(move || {
        let updates = before(now, days(periods.keep_updates_days));
        let cache = before(now, days(periods.keep_cache_days));
        let is_old = |holding: &Holding| match delivered.get(&holding.reference.digest) {
            Some(delivered) => *delivered < updates,
            None => holding.written_at < cache,
        };
        let holdings = store.holdings().into_iter();
        let old = holdings.filter(|holding| !holding.is_pinned).filter(is_old);
        // One that somebody needs again by now stays.
        old.filter(|holding| store.delete(&holding.reference.digest).is_ok()).count()
    });
    let dropped = dropped.await;
    if dropped > 0 {
        tracing::info!(files = dropped, "old files are dropped");
    }
    Ok(())
}

/// Drops what Python plans have kept of experiments whose rounds are all forgotten.
async fn retire_state(site: &Arc<Site>) -> Result<(), String> {
    let folder = site.folder.state();
    let kept = blocking(move || kept_state::kept(&folder)).await;
    let kept = kept.map_err(|error| chain(&error))?;
    if kept.is_empty() {
        return Ok(());
    }
    let remembered = site.database.read(rounds::experiments).await;
    let Some(remembered) = remembered.map_err(|error| chain(&error))? else {
        return Ok(());
    };
    let retired = blocking(move || kept_state::retire(kept, &remembered)).await;
    for experiment in retired.map_err(|error| chain(&error))? {
        tracing::info!(%experiment, "what plans had kept of an experiment is dropped");
    }
    Ok(())
}

/// What the node keeps at this moment, and until when.
pub(crate) async fn kept(site: &Arc<Site>) -> Result<Vec<Kept>, registry::Error> {
    let rounds = site.database.read(rounds::delivered_size).await?;
    let delivered = site.database.read(rounds::delivered_updates).await?;
    let (folder, store) = (site.folder.clone(), site.carrier.store().clone());
    let periods = site.config.retention;
    let replies = site.keep_replies().as_secs() / (24 * 60 * 60);
    let kept = blocking(move || {
        let logs = files::logs(&folder.round_logs()).unwrap_or_default();
        let told = logs.iter().filter(|log| files::has_words(log));
        let mut found = vec![
            Tally { count: rounds.machines, bytes: rounds.bytes, oldest: rounds.oldest }
                .kept(KeptKind::Rounds, Some(replies)),
            Tally::of(logs.iter().map(files::Log::dated))
                .kept(KeptKind::RoundLogs, Some(periods.keep_round_logs_days)),
            Tally::of(told.map(files::Log::dated))
                .kept(KeptKind::Tracebacks, Some(periods.keep_tracebacks_days)),
        ];
        found.extend(artifacts(&store, &delivered, periods));
        // Plans' states go with the rounds of their experiments.
        let states = files::folders(&folder.state());
        found.push(Tally::of(states).kept(KeptKind::PlanStates, None));
        found.push(Tally::of(files::file(&folder.audit_log())).kept(KeptKind::AuditLog, None));
        found
    });
    Ok(kept.await)
}

fn artifacts(
    store: &ArtifactStore,
    delivered: &HashMap<Digest, Timestamp>,
    periods: crate::config::RetentionPeriods,
) -> [Kept; 2] {
    let (mut updates, mut cache) = (Tally::default(), Tally::default());
    for holding in store.holdings() {
        let size = holding.reference.size;
        match delivered.get(&holding.reference.digest).filter(|_| !holding.is_pinned) {
            Some(at) => updates.add(size, *at),
            None => cache.add(size, holding.written_at),
        }
    }
    [
        updates.kept(KeptKind::Updates, Some(periods.keep_updates_days)),
        cache.kept(KeptKind::Cache, Some(periods.keep_cache_days)),
    ]
}

/// How many there are of something.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: u64,
    bytes: u64,
    oldest: Option<Timestamp>,
}

impl Tally {
    fn of(dated: impl IntoIterator<Item = (u64, Timestamp)>) -> Self {
        let mut tally = Self::default();
        dated.into_iter().for_each(|(bytes, at)| tally.add(bytes, at));
        tally
    }

    fn add(&mut self, bytes: u64, at: Timestamp) {
        self.count += 1;
        self.bytes += bytes;
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
    }

    fn kept(self, what: KeptKind, period: Option<u64>) -> Kept {
        let Self { count, bytes, oldest } = self;
        let until = oldest.and_then(|oldest| Some(oldest.after(days(period?))));
        Kept { what, count, bytes, days: period, oldest_at: oldest, until_at: until }
    }
}

/// The instant so much before another.
fn before(now: Timestamp, period: Duration) -> Timestamp {
    let period = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_milliseconds(now.milliseconds().saturating_sub(period))
}
