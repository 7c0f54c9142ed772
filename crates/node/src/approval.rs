//! What the owner says of a plan.

use protocol::{ArtifactReference, Code, RuntimeKind};
use training_plan::bundle;

use crate::audit::{Action, Actor, Entry};
use crate::registry::plans::{self, KnownPlan};
use crate::round_log::chain;
use crate::site::Site;

/// Looks a plan up for an experiment that has not started: one that is new is fetched, and listed as pending.
pub(crate) async fn ask(site: &Site, asked: KnownPlan) -> Code {
    if !is_offered(asked.runtime) {
        return Code::PlanUnsupportedRuntime;
    }
    if is_too_large(&asked.plan) {
        return Code::PolicyDenied;
    }
    let digest = asked.plan.digest;
    let known = site.database.read(move |transaction| plans::answer(transaction, &digest)).await;
    match known {
        Ok(Some(code)) => return code,
        Ok(None) => {}
        Err(error) => {
            let error: crate::registry::Error = error;
            tracing::error!(error = chain(&error), "the plans cannot be read");
            return Code::NodeUnavailable;
        }
    }
    // Held until the plan is judged, so that its file is not evicted before it is pinned.
    let _fetched = match site.carrier.fetch(&asked.plan).await {
        Ok(fetched) => fetched,
        Err(error) => {
            tracing::warn!(error = chain(&error), "a plan cannot be fetched");
            return Code::PlanUnavailable;
        }
    };
    judge(site, asked).await
}

/// Looks a plan up whose file is here; one that is new is listed as pending.
pub(crate) async fn judge(site: &Site, asked: KnownPlan) -> Code {
    let digest = asked.plan.digest;
    // Most are known, and a look is enough.
    let known = |transaction: &store::Transaction<'_>| plans::answer(transaction, &digest);
    let known: Result<_, crate::registry::Error> = site.database.read_blocking(known);
    if let Ok(Some(code)) = known
        && code != Code::NodeUnavailable
    {
        site.pin_plan(&digest);
        return code;
    }
    let audit = site.audit.clone();
    let judged = site.database.write(move |transaction| {
        let code = plans::judge(transaction, &asked)?;
        if code == Code::PlanNotRegistered {
            audit.permit_blocking(request(&asked))?;
        }
        Ok(code)
    });
    let judged = judged.await;
    let code = judged.unwrap_or_else(|error: crate::registry::Error| {
        tracing::error!(error = chain(&error), "the plans cannot be read");
        match error {
            crate::registry::Error::Audit(_) => Code::AuditUnavailable,
            _ => Code::NodeInternal,
        }
    });
    if code != Code::NodeUnavailable {
        site.pin_plan(&digest);
    }
    code
}

/// What is recorded of a plan that is new here.
fn request(asked: &KnownPlan) -> Entry {
    let actor = asked.researcher_id.clone().map_or(Actor::Node, Actor::Researcher);
    let entry = Entry::new(asked.seen_at, actor, Action::PlanAsk).plan(&asked.plan.digest);
    match asked.experiment_id {
        Some(experiment) => entry.experiment(experiment),
        None => entry,
    }
}

/// Whether a plan is declared larger than any plan is read; such a file is not even fetched.
pub(crate) const fn is_too_large(plan: &ArtifactReference) -> bool {
    plan.size > bundle::LARGEST as u64
}

/// Whether this node can run plans of a kind at all.
pub(crate) const fn is_offered(runtime: RuntimeKind) -> bool {
    match runtime {
        RuntimeKind::Native => true,
        RuntimeKind::Python => true,
        RuntimeKind::Statistics => true,
    }
}
