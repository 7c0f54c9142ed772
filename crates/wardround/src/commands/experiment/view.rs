//! An experiment's events as lines for people.

use std::cell::{Cell, RefCell};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use researcher::event::{EventSite, RoundValues};
use researcher::{Event, Occurrence};

use crate::printer::Printer;

/// The progress bar of an experiment, and the lines above it.
pub(crate) struct View {
    printer: Printer,
    bar: ProgressBar,
    /// The metrics' names, once they are known: the columns of the rounds' lines.
    metrics: RefCell<Option<Vec<String>>>,
    /// Whether rounds are shown when their model is measured, rather than when it is made.
    validates: Cell<bool>,
}

impl View {
    /// Shows an experiment of so many rounds.
    pub(crate) fn new(printer: Printer, rounds: u32) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:32}] {pos}/{len} rounds  {msg}")
            .expect("the template is well formed")
            .progress_chars("=> ");
        let bar = ProgressBar::new(u64::from(rounds)).with_style(style).with_prefix("training");
        if !printer.is_watched() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { printer, bar, metrics: RefCell::new(None), validates: Cell::new(false) }
    }

    /// Shows one event.
    pub(crate) fn show(&self, event: &Event) {
        match &event.what {
            Occurrence::RoundStarted { round, .. } => {
                let done = u64::from(round.saturating_sub(1)).min(self.bar.length().unwrap_or(0));
                self.bar.set_position(done);
                self.bar.set_message("");
            }
            Occurrence::Completed { rounds, .. } => self.bar.set_position(u64::from(*rounds)),
            _ => {}
        }
        if let Some(status) = status(&event.what) {
            self.bar.set_message(status);
        }
        let line = self.line(&event.what);
        self.bar.suspend(|| self.printer.event(&event.to_json(), line));
    }

    /// Writes a line above the bar; as an event of this name where programs read.
    pub(crate) fn say(&self, name: &str, line: &str) {
        let event = serde_json::json!({"event": name});
        self.bar.suspend(|| self.printer.event(&event, Some(line.to_owned())));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, what: &Occurrence) -> Option<String> {
        match what {
            Occurrence::Measured(values) => {
                self.validates.set(true);
                Some(self.round(values))
            }
            Occurrence::RoundFinished(values) if !self.validates.get() => Some(self.round(values)),
            _ => course(what),
        }
    }

    /// The lines of a round: the federation, then each site.
    fn round(&self, values: &RoundValues) -> String {
        let mut lines = Vec::new();
        let mut known = self.metrics.borrow_mut();
        let names = known.get_or_insert_with(|| {
            let names: Vec<String> =
                values.metrics.iter().map(|metric| metric.name.clone()).collect();
            let header: String = names.iter().map(|name| format!("  {name:>10}")).collect();
            lines.push(format!("{:>5}  {:24}  {:>8}{header}", "round", "model at", "loss"));
            names
        });
        let cell = |value: Option<f64>| format!("  {:>10}", value.map(number).unwrap_or_default());
        let row = |round: &str, who: &str, loss: Option<f64>, cells: String| {
            let loss = loss.map(number).unwrap_or_default();
            format!("{round:>5}  {who:24}  {loss:>8}{cells}").trim_end().to_owned()
        };
        let value = |name: &String| {
            values.metrics.iter().find(|metric| metric.name == *name).map(|metric| metric.value)
        };
        let cells = names.iter().map(|name| cell(value(name))).collect();
        lines.push(row(&values.round.to_string(), "federation", values.loss, cells));
        for site in &values.sites {
            let value = |name: &String| site.metrics.as_ref()?.get(name).copied();
            let cells: String = names.iter().map(|name| cell(value(name))).collect();
            let code = if site.code.is_ok() { String::new() } else { format!("  {}", site.code) };
            lines.push(row("", &site.site.to_string(), site.loss, cells) + &code);
        }
        lines.join("\n")
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
fn status(what: &Occurrence) -> Option<String> {
    match what {
        Occurrence::Queued { site, queued_before, .. } if *queued_before > 0 => {
            Some(format!("{site} queued behind {queued_before}"))
        }
        Occurrence::Queued { site, .. } => Some(format!("{site} queued")),
        Occurrence::Started { site, .. } => Some(format!("{site} running")),
        Occurrence::Held { site, .. } => Some(format!("{site} held by its owner")),
        Occurrence::Aggregating { .. } => Some("aggregating".to_owned()),
        _ => None,
    }
}

/// What is said of a step of the experiment's course.
pub(super) fn course(what: &Occurrence) -> Option<String> {
    match what {
        Occurrence::WaitingForNodes { connected, needed } => Some(format!(
            "waiting for nodes: {connected} of at least {needed} with a matching dataset are connected"
        )),
        Occurrence::Selected { sites } => Some(format!("selected {}", names(sites))),
        Occurrence::WaitingForApproval { pending, unanswered, .. } => waiting(pending, unanswered),
        Occurrence::Note { site, code, note, approval: None } => {
            Some(format!("{site} ({code}): {note}"))
        }
        Occurrence::Note { site, note, approval: Some(status), .. } => {
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            Some(format!("{site}: the approval is {status}{note}"))
        }
        Occurrence::Reply { site, round, code, detail, .. } if !code.is_ok() => {
            let detail = detail.iter().map(|detail| format!(" ({detail})")).collect::<String>();
            Some(format!("round {round}: {site} ended with {code}: {}{detail}", code.sentence()))
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
        _ => None,
    }
}

fn waiting(pending: &[EventSite], unanswered: &[EventSite]) -> Option<String> {
    if !pending.is_empty() {
        return Some(format!("waiting for the approval of {}", names(pending)));
    }
    (!unanswered.is_empty()).then(|| format!("asking for the approval of {}", names(unanswered)))
}

fn names(sites: &[EventSite]) -> String {
    sites.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
