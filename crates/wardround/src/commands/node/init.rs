//! `wardround node init`.

use protocol::NodeId;
use serde_json::json;

use crate::commands::Folder;
use crate::commands::connection::ADDRESS_HINT;
use crate::failure::Failure;
use crate::home::{self, Role};
use crate::printer::Printer;

/// Who the node is, and whom it dials.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The node's name: unique at its coordinator, and never changed.
    #[arg(long)]
    name: NodeId,
    /// The coordinator's address.
    #[arg(long, value_name = "URL", env = "WARDROUND_COORDINATOR", hide_env_values = true)]
    coordinator: String,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let given = home::argument(arguments.folder.dir.as_deref());
    let folder = super::folder(arguments.folder)?;
    let address = arguments
        .coordinator
        .parse()
        .map_err(|error| Failure::usage(format!("{error}")).hint(ADDRESS_HINT))?;
    if arguments.coordinator.starts_with("https://") {
        let address = &arguments.coordinator;
        let message = format!("address \"{address}\" asks for https, which needs an identity");
        return Err(Failure::usage(message).hint(ADDRESS_HINT));
    }
    home::refuse_other_role(folder.root(), Role::Node)?;
    node::init(&folder, &arguments.name, &address)
        .map_err(|error| Failure::from_error(&error).hint("name another folder with --dir"))?;
    let document = json!({"name": arguments.name, "dir": folder.root()});
    printer.result(&document, |_| {
        format!(
            "node {} lives in {}\nadd a dataset with `wardround node dataset add FILE --name NAME{given}`, \
             then `wardround node start{given}`",
            arguments.name,
            folder.root().display()
        )
    });
    Ok(())
}
