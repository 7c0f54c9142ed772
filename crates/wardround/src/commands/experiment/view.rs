//! An experiment's events as lines for people.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use researcher::event::EventSite;
use researcher::{Event, Occurrence};

use crate::printer::Printer;

/// The progress bar of an experiment, and the lines above it.
pub(crate) struct View {
    printer: Printer,
    bar: ProgressBar,
}

impl View {
    /// Shows an experiment of so many rounds.
    pub(crate) fn new(printer: Printer, rounds: u32) -> Self {
        let style =
            ProgressStyle::with_template("{prefix:10} [{bar:32}] {pos}/{len} rounds  {msg}")
                .expect("the template is well formed")
                .progress_chars("=> ");
        let bar = ProgressBar::new(u64::from(rounds)).with_style(style).with_prefix("training");
        if !printer.is_watched() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { printer, bar }
    }

    /// Shows one event.
    pub(crate) fn show(&self, event: &Event) {
        match &event.what {
            Occurrence::RoundStarted { round, .. } => {
                self.bar.set_position(u64::from(round.saturating_sub(1)));
                self.bar.set_message("");
            }
            Occurrence::Completed { rounds, .. } => self.bar.set_position(u64::from(*rounds)),
            _ => {}
        }
        if let Some(message) = status(event) {
            self.bar.set_message(message);
        }
        let line = line(event);
        self.bar.suspend(|| self.printer.event(&event.to_json(), line));
    }

    /// Writes a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| {
            self.printer
                .event(&serde_json::json!({"event": "note", "text": line}), Some(line.to_owned()))
        });
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A number with as many digits as people compare.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e5).contains(&magnitude) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

/// What stands beside the bar while something is going on.
fn status(event: &Event) -> Option<String> {
    let site = || {
        event
            .fields
            .get("site")
            .and_then(|site| serde_json::from_value::<EventSite>(site.clone()).ok())
    };
    match event.name.as_str() {
        "queued" => site().map(|site| format!("{site} queued")),
        "started" => site().map(|site| format!("{site} running")),
        "held" => site().map(|site| format!("{site} held by its owner")),
        _ => None,
    }
}

fn line(event: &Event) -> Option<String> {
    match &event.what {
        Occurrence::WaitingForNodes { connected, needed } => Some(format!(
            "waiting for nodes: {connected} of at least {needed} with a matching dataset are connected"
        )),
        Occurrence::Selected { sites } => Some(format!("selected {}", names(sites))),
        Occurrence::WaitingForApproval { pending, unanswered, .. } => {
            let mut parts = Vec::new();
            if !pending.is_empty() {
                parts.push(format!("waiting for the approval of {}", names(pending)));
            }
            if !unanswered.is_empty() {
                parts.push(format!("no answer yet from {}", names(unanswered)));
            }
            (!parts.is_empty()).then(|| parts.join("; "))
        }
        Occurrence::Reply { site, round, code, .. } if !code.is_ok() => {
            Some(format!("round {round}: {site} ended with {code}: {}", code.sentence()))
        }
        Occurrence::Retrying { round, retry } => {
            Some(format!("round {round}: too few updates, attempt {} follows", retry + 1))
        }
        Occurrence::Paused { code, message } => Some(format!("paused ({code}): {message}")),
        Occurrence::Resumed => Some("goes on".to_owned()),
        Occurrence::Cancelled => Some("cancelled".to_owned()),
        Occurrence::Failed { code, message } => Some(format!("failed ({code}): {message}")),
        Occurrence::Completed { model, rounds } => {
            Some(format!("completed after {rounds} rounds, model {}", model.digest))
        }
        Occurrence::RoundStarted { .. }
        | Occurrence::Reply { .. }
        | Occurrence::Aggregating { .. }
        | Occurrence::Other => round_line(event),
        _ => None,
    }
}

/// The line of a finished round: the loss and the metrics of the federation, then of each site.
fn round_line(event: &Event) -> Option<String> {
    if event.name != "round-finished" {
        return None;
    }
    let round = event.fields.get("round")?.as_u64()?;
    let loss = event.fields.get("loss").and_then(serde_json::Value::as_f64);
    let loss = loss.map(|loss| format!("  loss {}", number(loss))).unwrap_or_default();
    Some(format!("round {round:>3}{loss}"))
}

fn names(sites: &[EventSite]) -> String {
    sites.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
