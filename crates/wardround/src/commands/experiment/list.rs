//! `wardround experiment list`.

use crate::commands::connection::{Connection, failure};
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(connection: Connection, printer: Printer) -> Result<(), Failure> {
    let client = connection.open().await?;
    let experiments = client.list().await.map_err(|error| failure(&error))?;
    printer.result(&experiments, |experiments| {
        if experiments.is_empty() {
            return "no experiments".to_owned();
        }
        let rows = experiments.iter().map(|experiment| {
            [
                experiment.experiment_id.to_string(),
                experiment.name.clone(),
                experiment.state.clone(),
                format!("{}/{}", experiment.round, experiment.rounds),
                experiment.code.map(|code| code.to_string()).unwrap_or_default(),
            ]
        });
        table(["id", "name", "state", "round", "code"], rows.collect())
    });
    Ok(())
}
