//! The owner's commands about plans.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::wire::v1;
use protocol::wire::v1::node_message::Message;
use protocol::{ArtifactReference, Code, Digest, Timestamp};
use serde_json::Value;
use store::{Durability, Transaction};
use training_plan::{Bundle, normal};

use super::{Office, answer, refused};
use crate::administration::answer::{GrantEntry, PlanComparison, PlanDetails, PlanEntry};
use crate::administration::{Error, GrantText, PlanRequest};
use crate::approval;
use crate::audit::{Action, Actor};
use crate::carrier::blocking;
use crate::dispatcher::Command;
use crate::grant::{Grant, Kept, Person, Second, Signature, Status, covers};
use crate::plan_content;
use crate::registry::plans::{self, Decision, KnownPlan};
use crate::registry::{self, grants};

mod granting;

impl Office {
    pub(super) async fn plan(&self, request: PlanRequest, actor: &Actor) -> Result<Value, Error> {
        match request {
            PlanRequest::List => answer(self.plan_list().await?),
            PlanRequest::Show { digest } => answer(self.plan_show(digest).await?),
            PlanRequest::Compare { digest, other } => {
                answer(self.plan_compare(digest, other).await?)
            }
            PlanRequest::Approve { digest, note, grant } => {
                answer(self.plan_approve(digest, note, &grant, actor).await?)
            }
            PlanRequest::Reject { digest, note } => {
                answer(self.plan_reject(digest, note, actor).await?)
            }
            PlanRequest::Revoke { digest, grant, note } => {
                answer(self.plan_revoke(digest, grant, note, actor).await?)
            }
            PlanRequest::Countersign { digest } => {
                answer(self.plan_countersign(digest, actor).await?)
            }
            PlanRequest::Register { path, grant } => {
                answer(self.plan_register(&path, &grant, actor).await?)
            }
        }
    }

    async fn plan_list(&self) -> Result<Vec<PlanEntry>, Error> {
        let seal = self.site.seal.clone();
        let read = move |transaction: &Transaction<'_>| {
            Ok((
                plans::all(transaction)?,
                grants::all(transaction, &seal)?,
                grants::plans_of(transaction)?,
            ))
        };
        let (known, kept, plans) = self.read(read).await?;
        let entries = known.into_iter().map(|known| self.entry(known, &kept, &plans));
        Ok(entries.collect())
    }

    async fn plan_show(&self, digest: String) -> Result<PlanDetails, Error> {
        let entry = self.plan_entry(digest).await?;
        let bundle = self.bundle(&entry.known.plan.digest).await;
        let normal = entry.known.normal.or_else(|| bundle.as_ref().and_then(normal::digest));
        let same_as = match normal {
            Some(normal) => self.same_as(&entry.known.plan.digest, normal).await?,
            None => None,
        };
        let content = bundle.as_ref().map(plan_content::of);
        let PlanEntry { known, status, grants } = entry;
        Ok(PlanDetails {
            plan: known,
            status,
            grants,
            same_as,
            content,
            files: files(bundle.as_ref()),
        })
    }

    /// A plan that was approved and is the same but for comments and whitespace.
    async fn same_as(&self, digest: &Digest, normal: Digest) -> Result<Option<Digest>, Error> {
        let all = self.plan_list().await?.into_iter();
        let others =
            all.filter(|one| one.known.plan.digest != *digest && approved_at(one).is_some());
        for other in others {
            let found = match other.known.normal {
                Some(found) => Some(found),
                None => {
                    self.bundle(&other.known.plan.digest).await.as_ref().and_then(normal::digest)
                }
            };
            if found == Some(normal) {
                return Ok(Some(other.known.plan.digest));
            }
        }
        Ok(None)
    }

    async fn plan_compare(
        &self,
        digest: String,
        other: Option<String>,
    ) -> Result<PlanComparison, Error> {
        let plan = self.plan_entry(digest).await?.known.plan.digest;
        let other = match other {
            Some(other) => Some(self.plan_entry(other).await?.known.plan.digest),
            None => self.approved_before(&plan).await?,
        };
        let bundle = self.bundle(&plan).await;
        let other_bundle = match &other {
            Some(other) => self.bundle(other).await,
            None => None,
        };
        let normal = |bundle: &Option<Bundle>| bundle.as_ref().and_then(normal::digest);
        let is_same = normal(&bundle).is_some() && normal(&bundle) == normal(&other_bundle);
        Ok(PlanComparison {
            plan,
            files: files(bundle.as_ref()),
            other,
            other_files: files(other_bundle.as_ref()),
            is_same_but_for_layout: is_same,
        })
    }

    /// The plan that was approved last: of the same researcher and runtime where there is one.
    async fn approved_before(&self, digest: &Digest) -> Result<Option<Digest>, Error> {
        let all = self.plan_list().await?;
        let own = all.iter().find(|one| one.known.plan.digest == *digest);
        let own = own.map(|own| (own.known.runtime, own.known.researcher_id.clone()));
        let mut approved: Vec<&PlanEntry> = all
            .iter()
            .filter(|one| one.known.plan.digest != *digest && approved_at(one).is_some())
            .collect();
        approved.sort_by_key(|one| {
            let is_alike = Some((one.known.runtime, one.known.researcher_id.clone())) == own;
            (is_alike, approved_at(one))
        });
        Ok(approved.last().map(|one| one.known.plan.digest))
    }

    /// Finds a plan with its grants.
    pub(super) async fn plan_entry(&self, digest: String) -> Result<PlanEntry, Error> {
        let seal = self.site.seal.clone();
        let read = move |transaction: &Transaction<'_>| {
            let known = plans::find(transaction, &digest)?;
            let kept = grants::about(transaction, &seal, &known.plan.digest)?;
            Ok((known, kept, grants::plans_of(transaction)?))
        };
        let (known, kept, plans) = self.read(read).await?;
        Ok(self.entry(known, &kept, &plans))
    }

    fn entry(&self, known: KnownPlan, kept: &[Kept], plans: &BTreeMap<u64, String>) -> PlanEntry {
        let (now, digest) = (self.site.clock.now(), known.plan.digest);
        let text = digest.to_string();
        let has_families =
            kept.iter().any(|one| one.grant.as_ref().is_some_and(|grant| grant.family.is_some()));
        let native = has_families.then(|| approval::read_native(&self.site, &digest)).flatten();
        let is_about = |one: &&Kept| match &one.grant {
            Some(grant) => covers(grant, &digest, native.as_ref()) || grant.plan == digest,
            None => plans.get(&one.number) == Some(&text),
        };
        let entries = kept.iter().filter(is_about).map(|one| GrantEntry {
            number: one.number,
            status: one.grant.as_ref().map_or(Status::Invalid, |grant| grant.status(one.used, now)),
            used: one.used,
            grant: one.grant.clone(),
        });
        let grants: Vec<GrantEntry> = entries.collect();
        let best = grants.iter().map(|one| one.status).min();
        let status = match known.decision {
            Decision::Rejected => Status::Rejected,
            Decision::Pending | Decision::Approved => best.unwrap_or(Status::Pending),
        };
        PlanEntry { known, status, grants }
    }

    async fn plan_reject(
        &self,
        digest: String,
        note: String,
        actor: &Actor,
    ) -> Result<PlanEntry, Error> {
        let now = self.site.clock.now();
        let seal = self.site.seal.clone();
        let by = person(actor);
        let rejected = self.act(actor, Action::PlanReject, move |transaction, entry| {
            let plan = plans::decide(transaction, &digest, Decision::Rejected, &note, now)?;
            let live = live(transaction, &seal, &plan.plan.digest, None)?;
            withdraw(transaction, &seal, &live, &by, now)?;
            let entry = entry.plan(&plan.plan.digest);
            Ok(((plan, live), entry))
        });
        let (plan, withdrawn) = rejected.await?;
        self.end_rounds(&withdrawn).await;
        self.announce_decision(&plan, Code::PlanRejected);
        self.plan_entry(plan.plan.digest.to_string()).await
    }

    async fn plan_revoke(
        &self,
        digest: String,
        grant: Option<u64>,
        note: String,
        actor: &Actor,
    ) -> Result<PlanEntry, Error> {
        let now = self.site.clock.now();
        let seal = self.site.seal.clone();
        let by = person(actor);
        let told = note.clone();
        let revoked = self.act(actor, Action::PlanRevoke, move |transaction, entry| {
            let plan = plans::find(transaction, &digest)?;
            let live = live(transaction, &seal, &plan.plan.digest, grant)?;
            if live.is_empty() {
                let digest = plan.plan.digest.short();
                return Err(registry::Error::NoGrant { digest, wanted: "could be withdrawn" });
            }
            let withdrawn = withdraw(transaction, &seal, &live, &by, now)?;
            plans::keep(
                transaction,
                &KnownPlan { note: note.clone(), answer: note, ..plan.clone() },
            )?;
            let entry = entry.plan(&plan.plan.digest);
            let entry = match (grant, &*withdrawn) {
                (Some(_), [withdrawn]) => entry.grant(withdrawn),
                _ => entry,
            };
            Ok(((plan, live), entry))
        });
        let (plan, withdrawn) = revoked.await?;
        self.end_rounds(&withdrawn).await;
        // A family's grant is about other plans, too.
        approval::answer_again(&self.site, None, &told);
        self.plan_entry(plan.plan.digest.to_string()).await
    }

    /// Ends the rounds that run under grants which were withdrawn: they reply with `plan.revoked`, and nothing leaves.
    async fn end_rounds(&self, withdrawn: &[Kept]) {
        if let Some(daemon) = &self.daemon {
            let numbers = withdrawn.iter().map(|one| one.number).collect();
            // A daemon that ends lets its rounds go; the next start finds the grant withdrawn.
            drop(daemon.commands.send(Command::Revoked(numbers)).await);
        }
    }

    async fn plan_register(
        &self,
        path: &Path,
        grant: &GrantText,
        actor: &Actor,
    ) -> Result<PlanEntry, Error> {
        let (store, path) = (self.site.carrier.store().clone(), path.to_owned());
        let kept = blocking(move || -> Result<_, Error> {
            let bundle = read_bundle(&path)?;
            let reference = ArtifactReference::new(bundle.digest(), bundle.bytes().len() as u64);
            store
                .ingest(&mut bundle.bytes(), &reference, Durability::PowerLoss)
                .map_err(|error| refused(&error, None))?;
            Ok((reference, bundle))
        });
        let (reference, bundle) = kept.await?;
        self.site.pin_plan(&reference.digest);
        let plan = KnownPlan {
            note: "registered by the owner".to_owned(),
            normal: normal::digest(&bundle),
            ..KnownPlan::seen(reference, bundle.runtime(), self.site.clock.now())
        };
        self.plan_give(Some(plan.clone()), plan.plan.digest.to_string(), plan.note, grant, actor)
            .await
    }

    fn announce_decision(&self, plan: &KnownPlan, code: Code) {
        self.site.outbox.send(Message::PlanDecision(v1::PlanDecision {
            plan_digest: plan.plan.digest.to_string(),
            code: code.to_string(),
            note: approval::short(&plan.answer),
        }));
    }

    pub(super) async fn bundle(&self, digest: &Digest) -> Option<Bundle> {
        let (site, digest) = (std::sync::Arc::clone(&self.site), *digest);
        blocking(move || approval::read(&site, &digest)).await
    }
}

/// The grants of a plan that are not withdrawn yet, or the one of a number.
fn live(
    transaction: &Transaction<'_>,
    seal: &crate::grant::Seal,
    plan: &Digest,
    number: Option<u64>,
) -> Result<Vec<Kept>, registry::Error> {
    let mut kept = match number {
        Some(_) => grants::all(transaction, seal)?,
        None => grants::about(transaction, seal, plan)?,
    };
    kept.retain(|one| {
        let grant = one.grant.as_ref();
        let is_wanted = match number {
            Some(number) => one.number == number,
            None => grant.is_some_and(|grant| grant.plan == *plan),
        };
        is_wanted && grant.is_some_and(|grant| grant.revoked.is_none())
    });
    Ok(kept)
}

fn withdraw(
    transaction: &Transaction<'_>,
    seal: &crate::grant::Seal,
    live: &[Kept],
    by: &Person,
    at: Timestamp,
) -> Result<Vec<Grant>, registry::Error> {
    let mut withdrawn = Vec::new();
    for grant in live.iter().filter_map(|one| one.grant.clone()) {
        let revoked = Some(Signature { by: by.clone(), at });
        let grant = Grant { revoked, ..grant };
        grants::keep(transaction, seal, &grant)?;
        withdrawn.push(grant);
    }
    Ok(withdrawn)
}

/// When a plan was approved last; never where no grant of it has ever counted, or its owner has rejected it since.
fn approved_at(entry: &PlanEntry) -> Option<Timestamp> {
    let is_rejected = entry.known.decision == Decision::Rejected;
    let grants = entry.grants.iter().filter(|_| !is_rejected);
    grants.filter_map(|one| one.grant.as_ref()?.counted_from()).max()
}

/// Whoever commands; the process itself where nobody else does.
fn person(actor: &Actor) -> Person {
    let process = || Person { user: rustix::process::getuid().as_raw(), name: None };
    Person::of(actor).unwrap_or_else(process)
}

fn files(bundle: Option<&Bundle>) -> BTreeMap<String, String> {
    let files = bundle.into_iter().flat_map(Bundle::files);
    files.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// Reads a plan file with the files it names, or a bundle.
fn read_bundle(path: &Path) -> Result<Bundle, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::Refused {
        message: format!("{} cannot be read: {error}", path.display()),
        hint: None,
    })?;
    let bundle = if text.starts_with('{') {
        Bundle::parse(text.as_bytes())
    } else if path.extension().is_some_and(|extension| extension == "py") {
        Bundle::python(&text)
    } else {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        Bundle::native(&text, |name| std::fs::read_to_string(folder.join(name)))
    };
    bundle.map_err(|error| refused(&error, None))
}
