//! What the owner says of a plan.

use protocol::Code;
use protocol::RuntimeKind;

use crate::registry::plans::{self, KnownPlan};
use crate::round_log::chain;
use crate::site::Site;

/// Looks a plan up for an experiment that has not started: one that is new is fetched, and listed as pending.
pub(crate) async fn ask(site: &Site, asked: KnownPlan) -> Code {
    if !is_offered(asked.runtime) {
        return Code::PlanUnsupportedRuntime;
    }
    let digest = asked.plan.digest;
    let known = site.database.read(move |transaction| plans::by_digest(transaction, &digest)).await;
    match known {
        Ok(Some(known)) => return known.decision.code(),
        Ok(None) => {}
        Err(error) => {
            tracing::error!(error = chain(&error), "the plans cannot be read");
            return Code::NodeUnavailable;
        }
    }
    if let Err(error) = site.carrier.fetch(&asked.plan).await {
        tracing::warn!(error = chain(&error), "a plan cannot be fetched");
        return Code::PlanUnavailable;
    }
    judge(site, asked).await
}

/// Looks a plan up whose file is here; one that is new is listed as pending.
pub(crate) async fn judge(site: &Site, asked: KnownPlan) -> Code {
    site.pin_plan(&asked.plan.digest);
    let judged = site.database.write(move |transaction| plans::judge(transaction, &asked)).await;
    judged.unwrap_or_else(|error: crate::registry::Error| {
        tracing::error!(error = chain(&error), "the plans cannot be read");
        Code::NodeInternal
    })
}

/// Whether this node can run plans of a kind at all.
pub(crate) const fn is_offered(runtime: RuntimeKind) -> bool {
    match runtime {
        RuntimeKind::Native => true,
        // Sandboxed Python comes with the crate that confines it.
        RuntimeKind::Python => false,
    }
}
