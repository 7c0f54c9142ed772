//! Wardround's command line: node, coordinator and researcher in one program.
//!
//! One file for each command, named as it is typed. This crate must never know what a library should: it parses what
//! was typed, calls, and prints through one printer. Start reading at `commands.rs`.

mod commands;
mod demo;
mod failure;
mod home;
mod logging;
mod printer;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Arguments;
use crate::printer::Printer;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(arguments.json);
    match commands::run(arguments, &printer) {
        Ok(code) => code,
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.status.number())
        }
    }
}
