//! `wardround node round log ID`.

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let lines = administration.round_log(one.id).await.map_err(|error| refused(&error))?;
    printer.result(&lines, |lines| {
        let lines = lines.iter().map(|line| {
            let at =
                std::time::UNIX_EPOCH + std::time::Duration::from_millis(line.at.milliseconds());
            let at = humantime::format_rfc3339_millis(at);
            format!("{at}  attempt {}  {:<15}  {}\n", line.attempt, line.phase.as_str(), line.text)
        });
        lines.collect()
    });
    Ok(())
}
