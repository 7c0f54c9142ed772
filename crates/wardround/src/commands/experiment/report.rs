//! `wardround experiment report ID`.

use std::path::PathBuf;

use researcher::report::Report;
use serde_json::json;

use super::One;
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::Printer;

/// Which experiment, and where the page goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// The file to write.
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let client = arguments.one.connection.open().await?;
    let history = client.history(arguments.one.id).await.map_err(|error| failure(&error))?;
    let mut report = Report::new(history);
    // A model says that it is no table, and then the report has curves.
    report.statistics = client.table(arguments.one.id).await.ok();
    let page = report.to_html();
    std::fs::write(&arguments.output, page).map_err(|error| {
        Failure::failed(format!("{} cannot be written: {error}", arguments.output.display()))
    })?;
    let document = json!({"file": arguments.output});
    printer.result(&document, |_| arguments.output.display().to_string());
    Ok(())
}
