//! `wardround node round cancel ID`.

use node::administration::Cancellation;

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let done = administration.round_cancel(one.id).await.map_err(|error| refused(&error))?;
    printer.result(&done, |done| match done {
        Cancellation::Asked => format!("round {} will end", one.id),
        Cancellation::TooLate => format!("round {} had ended already", one.id),
    });
    Ok(())
}
