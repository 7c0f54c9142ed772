//! `wardround node python check [NAME]`.

use node::administration::Acceptance;

use super::{One, versions};
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which interpreter, and what to do about a change.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// Register the interpreter as it is now.
    #[arg(long)]
    update: bool,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let administration = administration(arguments.one.folder).await?;
    let acceptance = if arguments.update { Acceptance::Update } else { Acceptance::Look };
    let checked = administration.python_check(&arguments.one.name, acceptance).await;
    let check = checked.map_err(|error| refused(&error))?;
    printer.result(&check, |check| {
        if !check.is_changed {
            return format!("{} is what was registered: {}\n", check.name, versions(&check.now));
        }
        let fate = if check.is_updated { "registered now" } else { "not accepted yet" };
        format!(
            "{} has changed ({fate})\n  before  {}, packages {}\n  now     {}, packages {}\n",
            check.name,
            versions(&check.before),
            check.before.digest.short(),
            versions(&check.now),
            check.now.digest.short(),
        )
    });
    if check.is_changed && !check.is_updated {
        return Err(Failure::failed(format!("interpreter {} has changed", check.name))
            .hint("accept it with --update"));
    }
    Ok(())
}
