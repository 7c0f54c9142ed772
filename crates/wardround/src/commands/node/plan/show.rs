//! `wardround node plan show DIGEST`.

use node::administration::PlanDetails;

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let plan = administration.plan_show(&one.digest).await.map_err(|error| refused(&error))?;
    printer.result(&plan, people);
    Ok(())
}

fn people(details: &PlanDetails) -> String {
    let plan = &details.plan;
    let mut text = format!(
        "{}\n  decision  {}\n  runtime   {}\n  size      {} bytes\n",
        plan.plan.digest,
        plan.decision.as_str(),
        plan.runtime.as_str(),
        plan.plan.size
    );
    if let Some(researcher) = &plan.researcher_id {
        text.push_str(&format!("  asked by  {researcher}, for \"{}\"\n", plan.experiment_name));
    }
    if !plan.note.is_empty() {
        text.push_str(&format!("  note      {}\n", plan.note));
    }
    if details.files.is_empty() {
        text.push_str("\nits text is not at this node\n");
    }
    for (name, content) in &details.files {
        text.push_str(&format!("\n--- {name}\n{}\n", content.trim_end()));
    }
    text
}
