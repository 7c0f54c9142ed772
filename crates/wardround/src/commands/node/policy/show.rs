//! `wardround node policy show`.

use node::policy::{Origin, PolicyShown, Setting};
use protocol::DatasetName;
use serde_json::Value;

use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, table};

/// What is in effect for which dataset.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The dataset; without it, what holds for those that the file does not name.
    #[arg(long, value_name = "NAME")]
    dataset: Option<DatasetName>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let administration = administration(arguments.folder).await?;
    let shown = administration.policy_show(arguments.dataset).await;
    let shown = shown.map_err(|error| refused(&error))?;
    printer.result(&shown, |shown| {
        let rows = shown.settings.iter().map(row).collect();
        format!("{}{}", summary(shown), table(["key", "value", "from"], rows))
    });
    Ok(())
}

/// Which policy is in effect, and what is odd about it.
pub(super) fn summary(shown: &PolicyShown) -> String {
    let mut text = match &shown.digest {
        Some(digest) => format!("policy {}\n", digest.short()),
        None => "no policy file: nothing is bounded beyond node.toml\n".to_owned(),
    };
    if shown.is_changed {
        text.push_str("the file has changed since: `wardround node policy reload` reads it\n");
    }
    for name in &shown.unregistered {
        text.push_str(&format!("no dataset is registered as {name}, which the file names\n"));
    }
    text
}

fn row(setting: &Setting) -> [String; 3] {
    let value = match &setting.value {
        Value::Null => "not bounded".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let origin = match &setting.origin {
        Origin::BuiltIn => String::new(),
        Origin::Configuration => "node.toml".to_owned(),
        Origin::Defaults { line } => format!("policy.toml, line {line}, [defaults]"),
        Origin::Dataset { name, line } => format!("policy.toml, line {line}, [dataset.{name}]"),
    };
    [setting.key.clone(), value, origin]
}
