//! `wardround completions SHELL`.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

/// For which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell that reads them.
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) {
    let mut command = super::Arguments::command();
    generate(arguments.shell, &mut command, "wardround", &mut std::io::stdout());
}
