//! Giving and countersigning grants.

use protocol::{Code, Timestamp};
use training_plan::Plan;
use training_plan::plan::{Family, FamilyBounds};

use super::{Office, Second, Signature, person};
use crate::administration::answer::PlanEntry;
use crate::administration::{Error, GrantText};
use crate::approval;
use crate::audit::{Action, Actor};
use crate::grant::Grant;
use crate::policy::GrantForm;
use crate::registry::plans::{self, Decision, KnownPlan};
use crate::registry::{self, grants};

impl Office {
    pub(super) async fn plan_approve(
        &self,
        digest: String,
        note: String,
        text: &GrantText,
        actor: &Actor,
    ) -> Result<PlanEntry, Error> {
        self.plan_give(None, digest, note, text, actor).await
    }

    /// Gives a grant, of a plan that is known or of one that comes with it.
    pub(super) async fn plan_give(
        &self,
        new: Option<KnownPlan>,
        digest: String,
        note: String,
        text: &GrantText,
        actor: &Actor,
    ) -> Result<PlanEntry, Error> {
        let form = read(text)?;
        let plan = match &new {
            Some(plan) => plan.clone(),
            None => self.plan_entry(digest).await?.known,
        };
        let draft = self.draft(&plan, form, actor)?;
        let action = if new.is_some() { Action::PlanRegister } else { Action::PlanApprove };
        let is_waiting = draft.second == Second::Awaited;
        let is_new = new.is_some();
        let (seal, now, plan_digest) =
            (self.site.seal.clone(), self.site.clock.now(), plan.plan.digest);
        let given = self.act(actor, action, move |transaction, entry| {
            if let Some(plan) = &new {
                plans::keep(transaction, plan)?;
            }
            let decision = if is_waiting { Decision::Pending } else { Decision::Approved };
            let digest = plan_digest.to_string();
            let mut plan = plans::decide(transaction, &digest, decision, &note, now)?;
            if is_new {
                // Nobody has asked for it, so there is nobody to tell.
                plan.answer.clear();
                plans::keep(transaction, &plan)?;
            }
            let grant = grants::give(transaction, &seal, draft)?;
            let entry = entry.plan(&plan_digest).grant(&grant);
            Ok(((plan, grant), entry))
        });
        let (plan, grant) = given.await?;
        self.announce_grant(&plan, &grant);
        self.plan_entry(plan_digest.to_string()).await
    }

    /// Puts a grant together, or says what is wrong with it.
    fn draft(&self, plan: &KnownPlan, form: GrantForm, actor: &Actor) -> Result<Grant, Error> {
        let policy = self.site.policy();
        if let Some(group) = form.groups.iter().find(|group| !policy.groups().contains_key(*group))
        {
            let message = format!("group \"{group}\" is not in the policy file");
            return Err(refused_form(message));
        }
        let now = self.site.clock.now();
        let expires_at = form.expires.map(|expiry| expiry.instant(now));
        if expires_at.is_some_and(|end| end <= now) {
            return Err(refused_form("a grant cannot have expired when it is given".to_owned()));
        }
        let family = match form.family {
            None => None,
            Some(bounds) => {
                let native = approval::read_native(&self.site, &plan.plan.digest);
                let native = native.ok_or_else(|| refused_form(NOT_NATIVE.to_owned()))?;
                let bounds = FamilyBounds {
                    layers: bounds.layers,
                    most_layers: bounds.most_layers,
                    most_units: bounds.most_units,
                    optimizers: bounds.optimizers,
                };
                Some(family(&native, bounds)?)
            }
        };
        let second = match policy.wants_second_person(&form.datasets) {
            true => Second::Awaited,
            false => Second::NotWanted,
        };
        Ok(Grant {
            normal: plan.normal,
            family,
            researchers: form.researchers,
            groups: form.groups,
            datasets: form.datasets,
            arguments: form.arguments,
            rounds: form.rounds,
            minimum_samples: form.minimum_samples,
            metrics: form.metrics,
            expires_at,
            purpose: form.purpose,
            granted_by: Some(person(actor)),
            second,
            ..Grant::without_bounds(plan.plan.digest, now)
        })
    }

    pub(super) async fn plan_countersign(
        &self,
        digest: String,
        actor: &Actor,
    ) -> Result<PlanEntry, Error> {
        let (seal, now) = (self.site.seal.clone(), self.site.clock.now());
        let by = person(actor);
        let signed = self.act(actor, Action::PlanCountersign, move |transaction, entry| {
            let plan = plans::find(transaction, &digest)?;
            let kept = grants::about(transaction, &seal, &plan.plan.digest)?.into_iter();
            let waiting: Vec<Grant> = kept
                .filter_map(|one| one.grant)
                .filter(|grant| grant.plan == plan.plan.digest && is_waiting(grant))
                .collect();
            let none = || registry::Error::NoGrant {
                digest: plan.plan.digest.short(),
                wanted: "waits for a second person",
            };
            let mut last = waiting.last().cloned().ok_or_else(none)?;
            for grant in waiting {
                last = sign(transaction, &seal, grant, &by, now)?;
            }
            let note = plan.note.clone();
            let plan = plans::decide(
                transaction,
                &plan.plan.digest.to_string(),
                Decision::Approved,
                &note,
                now,
            )?;
            let entry = entry.plan(&plan.plan.digest).grant(&last);
            Ok(((plan, last), entry))
        });
        let (plan, grant) = signed.await?;
        self.announce_grant(&plan, &Grant { second: Second::NotWanted, ..grant });
        self.plan_entry(plan.plan.digest.to_string()).await
    }

    /// Tells of a grant: everybody at once where it is for everybody, else each that has asked.
    fn announce_grant(&self, plan: &KnownPlan, grant: &Grant) {
        if grant.second == Second::Awaited {
            return;
        }
        if grant.is_for_all() && grant.family.is_none() {
            self.announce_decision(plan, Code::Ok);
            self.site.reconsider.notify_one();
        } else {
            let about = grant.family.is_none().then_some(&plan.plan.digest);
            approval::answer_again(&self.site, about, &plan.answer);
        }
    }
}

fn sign(
    transaction: &store::Transaction<'_>,
    seal: &crate::grant::Seal,
    grant: Grant,
    by: &crate::grant::Person,
    at: Timestamp,
) -> Result<Grant, registry::Error> {
    if let Some(first) = grant.granted_by.as_ref().filter(|first| first.user == by.user) {
        let (number, person) = (grant.number, first.clone());
        return Err(registry::Error::SamePerson { number, person });
    }
    let second = Second::Given(Signature { by: by.clone(), at });
    let grant = Grant { second, ..grant };
    grants::keep(transaction, seal, &grant)?;
    Ok(grant)
}

fn is_waiting(grant: &Grant) -> bool {
    grant.second == Second::Awaited && grant.revoked.is_none()
}

/// The family of a plan, to which that itself must belong.
fn family(plan: &Plan, bounds: FamilyBounds) -> Result<Family, Error> {
    let family = Family::of(plan, bounds);
    match family.judge(plan).first() {
        None => Ok(family),
        Some(outside) => {
            let fact = "the plan does not belong to the family that is made from it";
            Err(refused_form(format!("{fact}: \"{}\" {}", outside.key, outside.rule)))
        }
    }
}

fn read(text: &GrantText) -> Result<GrantForm, Error> {
    GrantForm::read(&text.text).map_err(|(line, problem)| {
        refused_form(match &text.file {
            Some(file) => format!("{file}, line {line}: {problem}"),
            None => problem,
        })
    })
}

fn refused_form(message: String) -> Error {
    super::super::refused_by_registry(&registry::Error::GrantForm(message))
}

const NOT_NATIVE: &str = "only native plans whose files are here have families";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;
    use store::FolderLock;

    use super::*;
    use crate::administration::{Onlooker, PlanRequest, Request};
    use crate::carrier::Way;
    use crate::grant::Status;
    use crate::{Config, Folder};

    async fn ask(office: &Office, user: u32, request: PlanRequest) -> Result<Value, String> {
        let (onlooker, _follower) = Onlooker::new(Actor::user(user));
        let done = office.perform(Request::Plan(request), &onlooker).await;
        done.map_err(|error| error.to_string())
    }

    fn entry(value: Result<Value, String>) -> PlanEntry {
        serde_json::from_value(value.unwrap()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_grant_that_needs_a_second_person_counts_once_another_user_has_signed() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path());
        crate::init(&folder, &"north".parse().unwrap(), &"127.0.0.1:1".parse().unwrap()).unwrap();
        let policy = "[dataset.ward]\nsecond_person = true\n";
        std::fs::write(folder.policy(), policy).unwrap();
        let config = Config::load(&folder, []).unwrap();
        let lock = FolderLock::take(folder.root()).unwrap();
        let way = Way::Local(home.path().to_owned());
        let clock = Arc::new(store::SystemClock);
        let site = crate::node::open_site(&folder, config, clock, way).unwrap();
        let office = Office::of_folder(site, lock);
        let path = home.path().join("plan.py");
        std::fs::write(&path, "x = 1\n").unwrap();
        let text = |text: &str| GrantText { file: None, text: text.to_owned() };
        let register =
            |bounds: &str| PlanRequest::Register { path: path.clone(), grant: text(bounds) };

        // The other datasets need nobody else.
        let open = entry(ask(&office, 1, register("datasets = [\"other\"]")).await);
        assert_eq!(open.status, Status::Approved);
        let digest = open.known.plan.digest.to_string();
        let sign = || PlanRequest::Countersign { digest: digest.clone() };
        let nothing = ask(&office, 2, sign()).await.unwrap_err();
        assert!(nothing.contains("no grant that waits for a second person"), "{nothing}");

        for bounds in ["datasets = [\"ward\"]", ""] {
            let waiting = entry(ask(&office, 1, register(bounds)).await);
            let last = waiting.grants.last().unwrap();
            assert_eq!(last.status, Status::Pending, "{bounds}");
            let refused = ask(&office, 1, sign()).await.unwrap_err();
            assert!(refused.contains("needs the signature of somebody else"), "{refused}");
            let signed = entry(ask(&office, 2, sign()).await);
            let last = signed.grants.last().unwrap();
            assert_eq!(last.status, Status::Approved);
            let grant = last.grant.as_ref().unwrap();
            assert_eq!(grant.granted_by.as_ref().unwrap().user, 1);
            let Second::Given(second) = &grant.second else { panic!("it is signed: {grant:?}") };
            assert_eq!(second.by.user, 2);
        }
    }
}
