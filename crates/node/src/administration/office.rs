//! The owner's commands, done in this process.

mod audited;
mod backup;
mod datasets;
mod examination;
mod exclusions;
mod keys;
mod plans;
mod policy;
mod pythons;
mod releases;

use std::sync::Arc;

use protocol::wire::v1;
use protocol::wire::v1::node_message::Message;
use protocol::{RoundId, Timestamp};
use round::{Event, Round};
use serde::Serialize;
use serde_json::Value;
use store::{FolderLock, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::answer::{Cancellation, DatasetDetails, RoundDetails, Status};
use super::{Error, Onlooker, Request};
use crate::audit::{Action, Actor, Entry};
use crate::carrier::blocking;
use crate::dispatcher::Command;
use crate::link::SOFTWARE;
use crate::membership;
use crate::outbox::Line;
use crate::registry::datasets as dataset_rows;
use crate::registry::plans::{self as plan_rows, Decision};
use crate::registry::{self, rounds};
use crate::retention;
use crate::round_log::{self, chain};
use crate::site::Site;

/// Performs commands on a folder that this process holds.
pub(crate) struct Office {
    site: Arc<Site>,
    daemon: Option<Daemon>,
    _lock: Option<FolderLock>,
}

/// What a daemon adds.
struct Daemon {
    commands: mpsc::Sender<Command>,
    started_at: Timestamp,
}

impl Office {
    /// Inside a daemon.
    pub(crate) fn of_daemon(
        site: Arc<Site>,
        commands: mpsc::Sender<Command>,
        started_at: Timestamp,
    ) -> Self {
        Self { site, daemon: Some(Daemon { commands, started_at }), _lock: None }
    }

    /// Without a daemon; the folder is held as long as this lives.
    pub(crate) fn of_folder(site: Arc<Site>, lock: FolderLock) -> Self {
        Self { site, daemon: None, _lock: Some(lock) }
    }

    /// Does what is asked.
    pub(crate) async fn perform(
        &self,
        request: Request,
        onlooker: &Onlooker,
    ) -> Result<Value, Error> {
        match request {
            Request::Status => {
                let kept = retention::kept(&self.site).await;
                let kept = kept.map_err(|error| refused_by_registry(&error))?;
                answer(Status { kept, ..self.status().await? })
            }
            Request::Examine => answer(self.examine(onlooker).await),
            Request::Backup => answer(self.backup(onlooker.actor()).await?),
            Request::ReplaceKey { end, pause_at } => {
                answer(self.replace_key(onlooker.actor(), end, pause_at).await?)
            }
            Request::Pause => answer(self.set_paused(true, onlooker.actor()).await?),
            Request::Resume => answer(self.set_paused(false, onlooker.actor()).await?),
            Request::DatasetAdd(addition) => answer(self.dataset_add(addition, onlooker).await?),
            Request::DatasetList => answer(self.dataset_list().await?),
            Request::DatasetShow { name } => {
                answer(DatasetDetails::from(self.dataset(name).await?))
            }
            Request::DatasetCheck { name, acceptance } => {
                answer(self.dataset_check(name, acceptance, onlooker).await?)
            }
            Request::DatasetEdit { name, edit } => {
                answer(self.dataset_edit(name, edit, onlooker.actor()).await?)
            }
            Request::DatasetAttachPlan { name, plan } => {
                answer(self.dataset_attach_plan(name, plan, onlooker).await?)
            }
            Request::DatasetExclude { name, change } => {
                answer(self.dataset_exclude(name, change, onlooker).await?)
            }
            Request::DatasetExclusions { name } => answer(self.dataset(name).await?.exclusions),
            Request::DatasetRemove { name } => {
                answer(self.dataset_remove(name, onlooker.actor()).await?)
            }
            Request::Python(request) => self.python(request, onlooker.actor()).await,
            Request::Policy(request) => self.policy(request, onlooker.actor()).await,
            Request::Release(request) => self.release(request, onlooker.actor()).await,
            Request::Plan(request) => self.plan(request, onlooker.actor()).await,
            Request::RoundList { limit } => {
                let now = self.site.clock.now();
                let latest = self.read(move |transaction| rounds::latest(transaction, limit, now));
                answer(latest.await?)
            }
            Request::RoundsUnreadable { limit } => {
                answer(self.read(move |transaction| rounds::unreadable(transaction, limit)).await?)
            }
            Request::RoundShow { round } => answer(self.round_show(round).await?),
            Request::RoundLog { round } => answer(self.round_log(round).await?),
            Request::RoundCancel { round } => {
                answer(self.round_cancel(round, onlooker.actor()).await?)
            }
            Request::RoundDrop { round } => answer(self.round_drop(round, onlooker.actor()).await?),
        }
    }

    async fn status(&self) -> Result<Status, Error> {
        let state = |transaction: &Transaction<'_>| -> Result<_, registry::Error> {
            let is_paused = registry::is_paused(transaction)?;
            let open = rounds::open(transaction)?.len();
            let datasets = dataset_rows::all(transaction)?.len();
            let plans = plan_rows::all(transaction)?;
            let pending = plans.iter().filter(|plan| plan.decision == Decision::Pending).count();
            Ok((is_paused, open, datasets, pending))
        };
        let (is_paused, rounds_open, datasets, plans_pending) = self.read(state).await?;
        let (rounds_running, rounds_queued) = self.site.slots.occupancy();
        Ok(Status {
            name: self.site.config.name.clone(),
            software: SOFTWARE.to_owned(),
            coordinator: self.site.config.coordinator.to_string(),
            is_running: self.daemon.is_some(),
            started_at: self.daemon.as_ref().map(|daemon| daemon.started_at),
            is_connected: matches!(*self.site.outbox.line().borrow(), Line::Up(_)),
            is_paused,
            rounds_running,
            rounds_queued,
            rounds_open,
            datasets,
            plans_pending,
            sandbox: self.site.self_test.found(),
            audit_trouble: self.site.audit.trouble(),
            kept: Vec::new(),
            certificate: membership::status(&self.site.folder, &self.site.config),
        })
    }

    async fn set_paused(&self, paused: bool, actor: &Actor) -> Result<Status, Error> {
        let action = if paused { Action::NodePause } else { Action::NodeResume };
        self.act(actor, action, move |transaction, entry| {
            registry::set_paused(transaction, paused)?;
            Ok(((), entry))
        })
        .await?;
        self.site.outbox.send(Message::Availability(v1::Availability { paused }));
        self.status().await
    }

    async fn round_show(&self, round: RoundId) -> Result<RoundDetails, Error> {
        self.read(move |transaction| {
            let unknown = || registry::Error::UnknownRound { round: round.to_string() };
            let row = rounds::by_id(transaction, round)?.ok_or_else(unknown)?;
            let records = rounds::records(transaction, round)?;
            let Some((Event::Accepted { request }, _)) = records.into_iter().next() else {
                return Err(unknown());
            };
            let reply = rounds::reply(transaction, round)?.map(Box::new);
            Ok(RoundDetails { row, request, reply })
        })
        .await
    }

    async fn round_log(&self, round: RoundId) -> Result<Vec<round_log::LogLine>, Error> {
        self.read(move |transaction| {
            let unknown = || registry::Error::UnknownRound { round: round.to_string() };
            rounds::by_id(transaction, round)?.ok_or_else(unknown).map(drop)
        })
        .await?;
        let path = self.site.folder.round_log(round);
        blocking(move || round_log::read(&path)).await.map_err(|error| refused(&error, None))
    }

    async fn round_cancel(&self, round: RoundId, actor: &Actor) -> Result<Cancellation, Error> {
        let now = self.site.clock.now();
        // An owner can end a round also while nothing can be recorded.
        let entry = Entry::new(now, actor.clone(), Action::RoundCancel).round(round);
        self.site.audit.account(entry).await;
        let is_running = match &self.daemon {
            Some(daemon) => {
                let (answer, answered) = oneshot::channel();
                let command = Command::CancelByOwner(round, answer);
                // A daemon that ends does not answer; its journal does.
                daemon.commands.send(command).await.is_ok() && answered.await.unwrap_or(false)
            }
            None => false,
        };
        if is_running {
            return Ok(Cancellation::Asked);
        }
        self.write(move |transaction| cancel_in_journal(transaction, round, now)).await
    }

    async fn round_drop(&self, round: RoundId, actor: &Actor) -> Result<(), Error> {
        let now = self.site.clock.now();
        self.act(actor, Action::RoundDrop, move |transaction, entry| {
            rounds::drop_damaged(transaction, round, now)?;
            Ok(((), entry.round(round)))
        })
        .await?;
        let path = self.site.folder.round_log(round);
        blocking(move || round_log::RoundLog::at(path).delete()).await;
        Ok(())
    }

    async fn announce(&self) -> Result<(), Error> {
        self.site.announce_datasets().await.map_err(|error| refused(&error, None))
    }

    async fn read<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, registry::Error> + Send + 'static,
    {
        self.site.database.read(work).await.map_err(|error| refused_by_registry(&error))
    }

    async fn write<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, registry::Error> + Send + 'static,
    {
        self.site.database.write(work).await.map_err(|error| refused_by_registry(&error))
    }
}

/// Cancels a round that no driver has: the next start of the node replies.
fn cancel_in_journal(
    transaction: &Transaction<'_>,
    round: RoundId,
    now: Timestamp,
) -> Result<Cancellation, registry::Error> {
    let records = rounds::records(transaction, round)?;
    let Ok((state, _)) = Round::restore(records, now) else {
        return Err(registry::Error::UnknownRound { round: round.to_string() });
    };
    if !state.records(&Event::CancelRequested) {
        return Ok(Cancellation::TooLate);
    }
    rounds::record(transaction, round, &Event::CancelRequested, now)?;
    Ok(Cancellation::Asked)
}

fn answer(value: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(Error::Unreadable)
}

fn refused(error: &dyn std::error::Error, hint: Option<&str>) -> Error {
    Error::Refused { message: chain(error), hint: hint.map(str::to_owned) }
}

fn refused_by_registry(error: &registry::Error) -> Error {
    let hint = match error {
        registry::Error::UnknownDataset { .. } => {
            Some("list them with `wardround node dataset list`")
        }
        registry::Error::DatasetExists { .. } => {
            Some("choose another name, or remove the old one with `wardround node dataset remove`")
        }
        registry::Error::Exclusions(error) => error.hint(),
        registry::Error::UnknownPython { .. } => {
            Some("list them with `wardround node python list`")
        }
        registry::Error::PythonExists { .. } => {
            Some("choose another name, or remove the old one with `wardround node python remove`")
        }
        registry::Error::UnknownPlan { .. } | registry::Error::AmbiguousPlan { .. } => Some(
            "list them with `wardround node plan list`; six or more of a digest's digits name a plan",
        ),
        registry::Error::NoGrant { .. } => {
            Some("list a plan's grants with `wardround node plan show DIGEST`")
        }
        registry::Error::SamePerson { .. } => Some(
            "another user of the operating system signs with `wardround node plan countersign`",
        ),
        registry::Error::Seal(_) => {
            Some("`wardround node doctor` tells what is wrong with the folder audit/")
        }
        registry::Error::GrantForm(_) => Some("docs/reference/grant-file.md explains every key"),
        registry::Error::UnknownRound { .. } => Some("list them with `wardround node round list`"),
        registry::Error::NotHeld { .. } => {
            Some("list those that wait with `wardround node release list`")
        }
        registry::Error::RoundNotDamaged { .. } => {
            Some("`wardround node round cancel` ends a round that is open")
        }
        registry::Error::Damaged { .. } | registry::Error::Journal(_) => Some(
            "`wardround node round list` shows damaged rounds, `wardround node round drop` drops one",
        ),
        registry::Error::Audit(_) => Some(
            "free disk space or repair the folder audit/; `wardround node audit verify` tells what is damaged",
        ),
        registry::Error::Database(_) => None,
    };
    refused(error, hint)
}
