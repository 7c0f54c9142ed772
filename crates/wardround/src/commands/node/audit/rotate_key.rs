//! `wardround node audit rotate-key`.

use node::KeyReplacement;
use node::audit::{Handover, Step};

use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

/// Why the key is replaced.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The key is lost or damaged, and no backup has it: go on with another one, which it could not sign for.
    #[arg(long)]
    lost: bool,
    /// Stand still behind this step, for tests of what a crash leaves behind.
    #[arg(long, hide = true, value_name = "STEP", value_parser = step)]
    pause_at: Option<Step>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let Arguments { lost, pause_at, folder } = arguments;
    if pause_at.is_some() {
        crate::logging::start(crate::logging::LogFormat::Text);
    }
    let end = if lost { Handover::Lost } else { Handover::Rotated };
    let administration = super::super::administration(folder).await?;
    let replaced = administration.replace_key(end, pause_at).await;
    let replaced = replaced.map_err(|error| super::super::refused(&error))?;
    printer.result(&replaced, people);
    printer.note("tell the new key to whoever verifies exported logs, by another way than the log");
    Ok(())
}

fn people(replaced: &KeyReplacement) -> String {
    let KeyReplacement { node, key, before, end, record, grants, .. } = replaced;
    let (what, how) = match end {
        Handover::Rotated => ("is signed with another key", "which has signed for the new one"),
        Handover::Lost => {
            ("goes on with another key", "which was lost, and signed nothing for the new one")
        }
    };
    let mut text = format!(
        "the audit log of {node} {what}, by its record {record}\n  key     {key}\n  before  {before}, {how}\n  \
         grants  {grants} are signed anew"
    );
    if *end == Handover::Lost {
        text.push_str(&super::verify::tie(replaced.countersigned));
    }
    text
}

fn step(text: &str) -> Result<Step, String> {
    match text {
        "drawn" => Ok(Step::Drawn),
        "recorded" => Ok(Step::Recorded),
        "granted" => Ok(Step::Granted),
        _ => Err("there are the steps drawn, recorded and granted".to_owned()),
    }
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
The old key signs a record that names the new one, and the new one signs all that follows: whoever knows
either of them can verify the whole log. Grants that the old key has signed are signed anew. It makes no
difference whether the node runs.

With --lost the new key speaks for itself: the old one vouches for the log up to there, and nothing but what
the coordinator had signed by then ties what follows to it. It is refused where the key can be read.";
