//! `wardround coordinator token`.

use std::time::Duration;

use coordinator::administration::{Answer, Request};
use identity::{Member, Role};

use super::administer;
use super::members::{answer_of, instant};
use crate::commands::Folder;
use crate::failure::Failure;
use crate::home;
use crate::printer::Printer;

/// For whom the token is, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// What joins with it: node or researcher.
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// The name that it joins under.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// How long the token is good.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    expires: Duration,
    /// Let it take the place of whoever has the name now.
    #[arg(long)]
    replace: bool,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let Arguments { folder, role, name, expires, replace } = arguments;
    let folder = home::folder(folder.dir, home::Role::Coordinator)?;
    let member = Member::new(role, &name).map_err(Failure::usage)?.to_string();
    let request = Request::Invite { member, seconds: expires.as_secs(), replaces: replace };
    let answer = administer(&folder, &request).await?;
    printer.result(&answer_of(&answer), |_| match &answer {
        Answer::Invited { token, expires_at, .. } => {
            let until = instant(*expires_at);
            format!("{token}\n\ngood once, until {until}: `wardround {role} init --join TOKEN`")
        }
        _ => String::new(),
    });
    Ok(())
}
