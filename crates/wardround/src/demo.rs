//! `wardround demo`: a federation of hospitals on one machine.
//!
//! It starts a coordinator and one node for each hospital as processes of their own, lets each owner approve the
//! plan, follows the experiment, and compares its model with what each hospital and all of them together would have
//! reached. Start reading at [`run`].

mod compare;
mod federation;
mod hospitals;
mod output;
pub(crate) mod process;

use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::oneshot;

use crate::commands::connection::wait;
use crate::failure::Failure;
use crate::printer::Printer;

/// What the demonstration does.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many hospitals take part.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=8))]
    nodes: u8,
    /// How many rounds they train.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Which model they train.
    #[arg(long, value_enum, default_value = "logistic")]
    plan: hospitals::PlanChoice,
    /// Seed of shuffling and initialisation; the shares of the data are the same for every seed.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The folder in which model, history and report are left.
    #[arg(long, value_name = "FOLDER", default_value = "wardround-demo")]
    keep: PathBuf,
}

/// Runs the demonstration.
pub(crate) fn run(arguments: &Arguments, printer: Printer) -> Result<(), Failure> {
    let folder = output::prepare(&arguments.keep)?;
    let hospitals = usize::from(arguments.nodes);
    hospitals::write_files(&folder, arguments.plan, (arguments.rounds, arguments.seed), hospitals)?;
    let shares = hospitals::shares(hospitals);
    printer.event(
        &json!({"event": "demo", "hospitals": hospitals, "rounds": arguments.rounds,
            "seed": arguments.seed, "folder": folder}),
        Some(format!(
            "{hospitals} hospitals, 569 patients in all, {} rounds, seed {}",
            arguments.rounds, arguments.seed
        )),
    );
    let federation = federation::Federation::start(&folder, &shares, printer)?;
    // One wait for all of it, so that Ctrl-C ends it at every moment; what is dropped then ends its processes.
    wait(async move {
        let (history, columns) = federation.run(&folder, arguments.rounds, printer).await?;
        let (place, seed) = (folder.clone(), arguments.seed);
        let work = move || {
            // Its processes take their time to end; where nobody waits for them, they end with this one.
            drop(federation);
            compare::compare(&place, &shares, &columns, seed, printer)
        };
        let comparison = aside(work).await?;
        output::write(&folder, &history, &comparison)?;
        announce(&folder, &comparison, printer);
        Ok(())
    })
}

/// Works on a thread of its own, which ends with the process when nobody waits for it any more.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = oneshot::channel();
    // Nobody waits any more only when the process ends.
    std::thread::spawn(move || drop(sender.send(work())));
    receiver.await.unwrap_or_else(|_| Err(Failure::failed("the comparison ended by a defect")))
}

fn announce(folder: &Path, comparison: &compare::Compared, printer: Printer) {
    let text = format!(
        "\n{}\nreport   {}\nmodel    {}\nhistory  {}, {}",
        comparison.table(),
        folder.join("report.html").display(),
        folder.join("model.safetensors").display(),
        folder.join("history.csv").display(),
        folder.join("history.json").display(),
    );
    printer.event(&comparison.document(folder), Some(text));
}
