//! The audit log, from its first record to its last.

use super::{Area, Finding};
use crate::audit::{self, Expectation, InspectionError};
use crate::carrier::blocking;
use crate::folder::Folder;
use crate::round_log::chain;

/// Verifies every link and signature.
pub(super) async fn examine(folder: &Folder) -> Finding {
    let folder = folder.clone();
    blocking(move || judge(&folder)).await
}

fn judge(folder: &Folder) -> Finding {
    match audit::verify_own(folder, Expectation::default()) {
        Ok(_) => Area::Audit.good("every record of the audit log is linked and signed"),
        Err(InspectionError::Absent) => Area::Audit.good("nothing has been recorded yet"),
        Err(error) => Area::Audit.wrong(
            format!("the audit log does not hold: {}", chain(&error)),
            "keep the file as it is, and see docs/errors/audit.unavailable.md: rounds are refused",
        ),
    }
}
