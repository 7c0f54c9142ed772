//! Whether two processes speak the same messages.

use protocol::WIRE_VERSION;

/// The other side speaks another version of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side speaks wire version {theirs}, this program speaks {ours}: {}", advice(*.ours, *.theirs))]
pub struct Mismatch {
    /// This program's version.
    pub ours: u32,
    /// The other side's version.
    pub theirs: u32,
}

/// Compares the other side's wire version with this program's.
///
/// # Errors
///
/// Returns [`Mismatch`] for any other version: there is no talking across versions yet.
pub fn check(theirs: u32) -> Result<(), Mismatch> {
    if theirs == WIRE_VERSION { Ok(()) } else { Err(Mismatch { ours: WIRE_VERSION, theirs }) }
}

fn advice(ours: u32, theirs: u32) -> &'static str {
    if theirs > ours { "this program is the older one" } else { "the other side is the older one" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_version_passes_and_the_refusal_says_who_is_old() {
        assert_eq!(check(WIRE_VERSION), Ok(()));
        let newer = check(WIRE_VERSION + 1).unwrap_err().to_string();
        assert!(newer.ends_with("this program is the older one"), "{newer}");
        let older = check(0).unwrap_err().to_string();
        assert!(older.ends_with("the other side is the older one"), "{older}");
    }
}
