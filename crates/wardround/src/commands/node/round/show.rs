//! `wardround node round show ID`.

use node::administration::RoundDetails;
use protocol::RuntimeKind;

use super::One;
use super::list::stage;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let round = administration.round_show(one.id).await.map_err(|error| refused(&error))?;
    printer.result(&round, people);
    Ok(())
}

fn people(details: &RoundDetails) -> String {
    let row = &details.row;
    let mut text = format!(
        "{}\n  experiment  {}\n  round       {}, attempt {}\n  asked by    {}\n  plan        {}\n  stage       {}\n",
        row.round_id,
        row.experiment_id,
        row.round,
        row.attempt,
        row.researcher_id,
        details.request.plan.digest,
        stage(row.stage),
    );
    if details.request.runtime == RuntimeKind::Statistics {
        text.push_str("  work        statistics, no training\n");
    }
    if let Some(confinement) = &row.confinement {
        text.push_str(&format!("  sandbox     level {}\n", confinement.level));
        if let Some(environment) = &confinement.environment {
            text.push_str(&format!("  packages    {environment}\n"));
        }
    }
    if let Some(reply) = &details.reply {
        text.push_str(&format!("  code        {}: {}\n", reply.code, reply.message()));
        if let Some(detail) = &reply.detail {
            text.push_str(&format!("  because     {}\n", detail.in_words()));
        }
        text.push_str(&format!("  samples     {}\n", reply.sample_count));
        if let Some(update) = &reply.update {
            text.push_str(&format!("  update      {} ({} bytes)\n", update.digest, update.size));
        }
        for warning in &reply.warnings {
            text.push_str(&format!("  warning     {warning}: {}\n", warning.sentence()));
        }
        for (phase, seconds) in &reply.timing.phases {
            text.push_str(&format!("  {:<15} {:>9.3} ms\n", phase.as_str(), seconds * 1e3));
        }
    }
    text
}
