//! Where the daemons' log lines go: standard error, for people or as JSON lines.

use tracing_subscriber::EnvFilter;

use crate::home::variable;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `WARDROUND_LOG` chooses the level: `info`, `debug`, or a filter such as `node=debug`.
pub(crate) fn start(format: LogFormat) {
    let filter = variable("WARDROUND_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
