//! `wardround node plan dossier DIGEST`: a sheet about one plan, for the data-protection officer.

use std::path::PathBuf;

use node::SandboxStatus;
use node::administration::{GrantEntry, PlanComparison, PlanDetails, Status};
use serde_json::json;

use super::One;
use super::bounds::day;
use super::diff::unified;
use super::show::{details as grant_lines, tensor_in_words};
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, is_hidden};

pub(super) async fn run(one: One, output: PathBuf, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let plan = administration.plan_show(&one.digest).await.map_err(|error| refused(&error))?;
    let digest = plan.plan.plan.digest.to_string();
    let compared = administration.plan_compare(&digest, None).await;
    let compared = compared.map_err(|error| refused(&error))?;
    let status = administration.status().await.map_err(|error| refused(&error))?;
    let page = page(&plan, &compared, &status);
    std::fs::write(&output, &page).map_err(|error| {
        Failure::failed(format!("{} cannot be written: {error}", output.display()))
    })?;
    let result = json!({ "plan": digest, "file": output, "bytes": page.len() });
    printer.result(&result, |_| format!("{} is about {digest}", output.display()));
    Ok(())
}

/// The whole sheet: one file that loads nothing, in which everything that others wrote is text.
fn page(plan: &PlanDetails, compared: &PlanComparison, status: &Status) -> String {
    let known = &plan.plan;
    let name = plan.content.as_ref().map(|content| content.name.as_str());
    let title = name.filter(|name| !name.is_empty()).unwrap_or("Training plan");
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – review dossier</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<p class=\"kind\">Wardround · review dossier of a training plan</p>\n\
         <h1>{title}</h1>\n<p class=\"status {class}\">{status}</p>\n</header>\n<main>\n",
        title = escape(title),
        class = if plan.status.as_str() == "approved" { "good" } else { "open" },
        status = escape(plan.status.as_str()),
    );
    let asked = known.researcher_id.as_ref().map_or_else(
        || "this node's owner".to_owned(),
        |researcher| format!("{researcher}, for \u{201c}{}\u{201d}", known.experiment_name),
    );
    let mut facts = vec![
        ("Hospital's node", status.name.to_string()),
        ("Plan", known.plan.digest.to_string()),
        ("Size", format!("{} bytes in {} files", known.plan.size, plan.files.len())),
        ("Runtime", runtime(known.runtime.as_str())),
        ("Asked by", asked),
        ("First seen", day(known.seen_at)),
        ("Owner's note", known.note.clone()),
    ];
    facts.extend(known.messages.iter().map(|message| {
        ("Message", format!("{} ({}): {}", message.researcher, day(message.at), message.text))
    }));
    page.push_str(&section("What is asked", &list(&facts)));
    page.push_str(&section("What it reads", &bullets(&reads(plan))));
    page.push_str(&section("What it sends", &bullets(&sends(plan))));
    page.push_str(&section("What it needs", &bullets(&needs(plan))));
    page.push_str(&section(
        "How it is confined",
        &bullets(&confinement(plan, status.sandbox.as_ref())),
    ));
    page.push_str(&section("What is granted", &grants(&plan.grants)));
    page.push_str(&section(
        "How it differs from the plan that was approved last",
        &differences(compared),
    ));
    let texts = plan
        .files
        .iter()
        .map(|(name, text)| format!("<h3>{}</h3>\n<pre>{}</pre>\n", escape(name), escape(text)));
    let texts: String = texts.collect();
    let missing = "<p>Its text is not at this node.</p>\n".to_owned();
    page.push_str(&section("Its text", if texts.is_empty() { &missing } else { &texts }));
    page.push_str(FOOTER);
    page
}

fn runtime(word: &str) -> String {
    match word {
        "native" => "native: the plan is data, and the node's own program computes".to_owned(),
        "python" => "python: the plan is a program, which runs in a sandbox".to_owned(),
        "statistics" => "statistics: a query, which the node's own program answers".to_owned(),
        other => other.to_owned(),
    }
}

fn reads(plan: &PlanDetails) -> Vec<String> {
    match &plan.content {
        Some(content) if !content.reads.is_empty() => content.reads.clone(),
        _ => vec!["Whatever of the granted dataset its program asks for.".to_owned()],
    }
}

fn sends(plan: &PlanDetails) -> Vec<String> {
    if let Some(content) = plan.content.as_ref().filter(|content| !content.sends.is_empty()) {
        return content.sends.clone();
    }
    let content = plan.content.as_ref().filter(|content| !content.tensors.is_empty());
    let Some(content) = content else {
        return vec![
            "The tensors that its program declares, checked against its declaration: names, shapes, types, finite values."
                .to_owned(),
            "The measured values that it declares.".to_owned(),
        ];
    };
    let mut lines: Vec<String> = content
        .tensors
        .iter()
        .map(|tensor| format!("tensor {}", tensor_in_words(tensor)))
        .collect();
    lines.push(format!("measured values: {}", content.metrics.join(", ")));
    lines.push(
        "counts of rows, seconds of each phase, codes and warnings from closed lists".to_owned(),
    );
    lines
}

fn needs(plan: &PlanDetails) -> Vec<String> {
    let packages = plan.content.as_ref().map(|content| content.packages.clone());
    match packages.unwrap_or_default() {
        packages if packages.is_empty() => vec!["No package of others.".to_owned()],
        packages => packages.into_iter().map(|name| format!("the Python package {name}")).collect(),
    }
}

fn confinement(plan: &PlanDetails, sandbox: Option<&SandboxStatus>) -> Vec<String> {
    if plan.plan.runtime.as_str() != "python" {
        return vec![
            "Nothing of the plan is executed; its layers are computed by the node.".to_owned(),
        ];
    }
    let Some(found) = sandbox else {
        return vec!["The sandbox of this machine was not tested yet.".to_owned()];
    };
    let mut lines = vec![format!("This machine reaches level {} of the sandbox.", found.level)];
    lines.extend(found.missing.iter().map(|missing| format!("missing: {missing}")));
    lines.extend(found.not_held.iter().map(|attack| format!("not held: {attack}")));
    lines
}

fn grants(grants: &[GrantEntry]) -> String {
    if grants.is_empty() {
        return "<p>Nothing.</p>\n".to_owned();
    }
    let shown = grants.iter().map(|one| {
        let lines = match &one.grant {
            Some(grant) => grant_lines(grant, one.used),
            None => vec!["its signature is not this node's: it counts as no grant".to_owned()],
        };
        let title = format!("Grant {}: {}", one.number, one.status.as_str());
        format!("<h3>{}</h3>\n{}", escape(&title), bullets(&lines))
    });
    shown.collect()
}

fn differences(compared: &PlanComparison) -> String {
    let Some(other) = &compared.other else {
        return "<p>No other plan was approved here.</p>\n".to_owned();
    };
    let same = match compared.is_same_but_for_layout {
        true => "<p><strong>The same but for comments and whitespace.</strong></p>\n",
        false => "",
    };
    let text = unified(compared);
    let lines = text.lines().map(|line| {
        let class = match line.as_bytes().first() {
            Some(b'+') => " class=\"added\"",
            Some(b'-') => " class=\"removed\"",
            _ => "",
        };
        format!("<span{class}>{}</span>\n", escape(line))
    });
    let lines: String = lines.collect();
    format!("<p>Compared with {}.</p>\n{same}<pre>{lines}</pre>\n", escape(&other.to_string()))
}

fn section(title: &str, content: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{content}</section>\n")
}

fn list(facts: &[(&str, String)]) -> String {
    let rows = facts.iter().filter(|(_, value)| !value.is_empty());
    let rows = rows.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value)));
    format!("<dl>\n{}</dl>\n", rows.collect::<String>())
}

fn bullets(lines: &[String]) -> String {
    let lines = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line)));
    format!("<ul>\n{}</ul>\n", lines.collect::<String>())
}

/// Makes text of whatever somebody wrote; what would turn the direction of reading is shown by its number.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            hidden if is_hidden(hidden) => {
                safe.push_str(&format!("[U+{:04X}]", u32::from(hidden)));
            }
            character => safe.push(character),
        }
    }
    safe
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2733}\
h1{margin:.2rem 0}h2{margin-top:2rem;border-bottom:1px solid #cfd8e0;font-size:1.25rem}h3{font-size:1rem;margin:1rem 0 .3rem}\
.kind{color:#5a6b7b;margin:0}.status{display:inline-block;padding:.1rem .7rem;border-radius:1rem;font-weight:600}\
.good{background:#dff3e4;color:#14532d}.open{background:#fdf0d5;color:#7a4b00}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.5rem}dt{color:#5a6b7b}dd{margin:0;overflow-wrap:anywhere}\
pre{background:#f4f6f8;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85rem}\
.added{background:#dff3e4}.removed{background:#fbe3e4}footer{margin-top:3rem;color:#5a6b7b;font-size:.85rem}";

const FOOTER: &str = "</main>\n<footer>Made by the node from what it holds. What no check can see: without differential \
privacy or secure aggregation, an approved plan can carry rows in the weights of its model.</footer>\n</body>\n</html>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_somebody_wrote_is_text() {
        assert_eq!(escape("<script>\"&'\n"), "&lt;script&gt;&quot;&amp;&#39;\n");
        assert_eq!(escape("a\u{202e}b\u{0}c"), "a[U+202E]b[U+0000]c");
        assert_eq!(escape("Größe ≤ 5"), "Größe ≤ 5");
    }
}
