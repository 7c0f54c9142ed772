//! `wardround plan digest PLAN.toml`.

use std::path::Path;

use serde_json::json;

use crate::failure::Failure;
use crate::printer::Printer;

pub(super) fn run(plan: &Path, printer: Printer) -> Result<(), Failure> {
    let bundle = super::read_bundle(plan)?;
    let digest = bundle.digest();
    printer.result(&json!({"digest": digest}), |_| digest.to_string());
    Ok(())
}
