//! The launcher on its own, for the crate's tests; the product starts it by a command of its executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::launch(std::env::args_os().skip(1))
}
