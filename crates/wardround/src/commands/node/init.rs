//! `wardround node init`.

use protocol::NodeId;
use serde_json::json;

use crate::commands::Folder;
use crate::commands::connection::wait;
use crate::commands::joining;
use crate::failure::{Failure, Status, chain};
use crate::home::{self, Role};
use crate::printer::Printer;

/// How the node becomes one.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The token that the coordinator's operator has made; `-` reads it from standard input, where no other user of
    /// this machine sees it.
    #[arg(long, value_name = "TOKEN", required_unless_present = "insecure_loopback")]
    join: Option<String>,
    /// For trials on one machine: no keys, no encryption, and the coordinator believes the node's name.
    #[arg(long, conflicts_with = "join", requires = "name", requires = "coordinator")]
    insecure_loopback: bool,
    /// The node's name, where no token says it: unique at its coordinator, and never changed.
    #[arg(long, conflicts_with = "join")]
    name: Option<NodeId>,
    /// The coordinator's address, where no token says it.
    #[arg(long, value_name = "URL", env = "WARDROUND_COORDINATOR", hide_env_values = true)]
    coordinator: Option<String>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    home::make_private();
    let given = home::argument(arguments.folder.dir.as_deref());
    let folder = super::folder(arguments.folder)?;
    home::refuse_other_role(folder.root(), Role::Node)?;
    match (arguments.join, arguments.name, arguments.coordinator) {
        (Some(token), _, _) => wait(join(&folder, &token, &given, printer)),
        (None, Some(name), Some(coordinator)) => {
            insecurely(&folder, (&name, &coordinator), &given, printer)
        }
        (None, _, _) => Err(Failure::usage(
            "a node is made with --join, or with --insecure-loopback, --name and --coordinator",
        )),
    }
}

async fn join(
    folder: &node::Folder,
    token: &str,
    given: &str,
    printer: Printer,
) -> Result<(), Failure> {
    let token = joining::token(token)?;
    let joined = node::join(folder, &token).await.map_err(|error| refused(&error))?;
    let document = json!({
        "name": joined.name,
        "coordinator": joined.coordinator.to_string(),
        "fingerprint": joined.fingerprint.to_string(),
        "is_renewed": joined.is_renewed,
        "dir": folder.root(),
    });
    printer.result(&document, |_| {
        let next = if joined.is_renewed {
            format!("start it again with `wardround node start{given}`")
        } else {
            next_steps(given)
        };
        format!(
            "node {} has joined {}\nfingerprint  {}\nfolder       {}\n{}\n{next}",
            joined.name,
            joined.coordinator,
            joined.fingerprint,
            folder.root().display(),
            joining::COMPARE,
        )
    });
    Ok(())
}

fn insecurely(
    folder: &node::Folder,
    (name, coordinator): (&NodeId, &str),
    given: &str,
    printer: Printer,
) -> Result<(), Failure> {
    let address = node::config::plain_loopback(coordinator).map_err(|error| {
        Failure::usage(error)
            .hint("plain loopback is http://127.0.0.1:PORT; else join with a token")
    })?;
    node::init(folder, name, &address)
        .map_err(|error| Failure::from_error(&error).hint("name another folder with --dir"))?;
    let document = json!({"name": name, "dir": folder.root()});
    printer.result(&document, |_| {
        format!("node {name} lives in {}\n{}", folder.root().display(), next_steps(given))
    });
    Ok(())
}

fn next_steps(given: &str) -> String {
    format!(
        "add a dataset with `wardround node dataset add FILE --name NAME{given}`, \
         then `wardround node start{given}`"
    )
}

fn refused(error: &node::joining::Error) -> Failure {
    let mut failure = match error.code() {
        Some(code) => Failure::coded(code, chain(error)),
        None => Failure::from_error(error),
    };
    if error.is_unreachable() {
        failure.status = Status::Unreachable;
    }
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
The coordinator's operator makes a token with `wardround coordinator token --role node --name NAME`;
it is good once. The node's keys are made here and never leave this machine. Read the six words that
are printed to the operator, by telephone: they must be the ones that `wardround coordinator nodes
list` shows there. A node that has joined already, and whose certificate has expired or was revoked,
joins again in the same folder.

  wardround node init --join - --dir /srv/wardround/north < token
";
