//! `wardround node plan show DIGEST`.

use node::administration::{GrantEntry, PlanContent, PlanDetails, PlanTensor};
use node::grant::{Grant, Second};

use super::One;
use super::bounds::{day, in_words};
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let plan = administration.plan_show(&one.digest).await.map_err(|error| refused(&error))?;
    printer.result(&plan, people);
    Ok(())
}

/// What somebody wrote, with a bar before its further lines: none of them passes for a line of ours.
fn beside(text: &str) -> String {
    text.replace('\n', "\n            | ")
}

fn people(details: &PlanDetails) -> String {
    let plan = &details.plan;
    let mut text = format!(
        "{}\n  status    {}\n  runtime   {}\n  size      {} bytes\n",
        plan.plan.digest,
        details.status.as_str(),
        plan.runtime.as_str(),
        plan.plan.size
    );
    if let Some(researcher) = &plan.researcher_id {
        text.push_str(&format!("  asked by  {researcher}, for \"{}\"\n", plan.experiment_name));
    }
    if !plan.note.is_empty() {
        text.push_str(&format!("  note      {}\n", beside(&plan.note)));
    }
    for message in &plan.messages {
        text.push_str(&format!(
            "  message   {} by {}: {}\n",
            day(message.at),
            message.researcher,
            beside(&message.text)
        ));
    }
    if let Some(other) = &details.same_as {
        text.push_str(&format!(
            "  same as   {} but for comments and whitespace; it needs an approval of its own\n",
            other.short()
        ));
    }
    if let Some(content) = &details.content {
        text.push_str(&content_in_words(content));
    }
    for grant in &details.grants {
        text.push_str(&grant_in_words(grant));
    }
    if details.files.is_empty() {
        text.push_str("\nits text is not at this node\n");
    }
    for (name, content) in &details.files {
        text.push_str(&format!("\n--- {name}\n{}\n", content.trim_end()));
    }
    text
}

fn content_in_words(content: &PlanContent) -> String {
    let mut text = String::new();
    let mut lines = |word: &str, lines: Vec<String>| {
        for (place, line) in lines.into_iter().enumerate() {
            text.push_str(&format!("  {:<8}  {line}\n", if place == 0 { word } else { "" }));
        }
    };
    if !content.sends.is_empty() {
        lines("reads", content.reads.clone());
        lines("sends", content.sends.clone());
        return text;
    }
    if content.tensors.is_empty() {
        lines("reads", vec!["whatever of the dataset its program asks for".to_owned()]);
        lines("sends", vec!["what its program declares: only running it tells".to_owned()]);
        lines("needs", content.packages.clone());
        return text;
    }
    lines("reads", content.reads.clone());
    let tensors = content.tensors.iter().map(tensor_in_words);
    let bytes: Option<u64> = content.tensors.iter().map(bytes).sum();
    let total = bytes.map(|bytes| format!("{bytes} bytes of numbers in all"));
    lines("sends", tensors.chain(total).collect());
    lines("measures", vec![content.metrics.join(", ")]);
    text
}

/// A tensor with its shape, where that is known.
pub(super) fn tensor_in_words(tensor: &PlanTensor) -> String {
    match &tensor.shape {
        Some(shape) => format!("{} {shape:?}", tensor.name),
        None => format!("{}, as wide as the sites' columns", tensor.name),
    }
}

fn bytes(tensor: &PlanTensor) -> Option<u64> {
    tensor.shape.as_ref().map(|shape| shape.iter().product::<u64>() * 4)
}

fn grant_in_words(entry: &GrantEntry) -> String {
    let mut text = format!("\ngrant {}: {}\n", entry.number, entry.status.as_str());
    let Some(grant) = &entry.grant else {
        text.push_str(
            "  its signature is not this node's: it was changed, and counts as no grant\n",
        );
        return text;
    };
    for line in details(grant, entry.used) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// Everything that a grant says, one line each.
pub(super) fn details(grant: &Grant, used: u64) -> Vec<String> {
    let by = grant.granted_by.as_ref();
    let by = by.map_or_else(|| "before there were grants".to_owned(), |by| format!("by {by}"));
    let mut lines = vec![format!("given {} {by}", day(grant.granted_at))];
    match &grant.second {
        Second::NotWanted => {}
        Second::Awaited => lines.push("waits for a second person's signature".to_owned()),
        Second::Given(second) => {
            lines.push(format!("signed {} by {}", day(second.at), second.by));
        }
    }
    if let Some(revoked) = &grant.revoked {
        lines.push(format!("revoked {} by {}", day(revoked.at), revoked.by));
    }
    if !grant.purpose.is_empty() {
        lines.push(format!("purpose: {}", grant.purpose));
    }
    let bounds = in_words(grant);
    match bounds.is_empty() {
        true => lines.push("without bounds of its own".to_owned()),
        false => lines.extend(bounds),
    }
    lines.push(format!("rounds so far: {used}"));
    lines
}
