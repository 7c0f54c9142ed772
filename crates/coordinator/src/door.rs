//! What callers are told: a code, and public sentences only.

use protocol::Code;
use protocol::wire::{self, refusal};
use tonic::Status;

use crate::record;

/// Turns a code into the status that carries it; the message is the code and its public sentence.
pub(crate) fn status(code: Code) -> Status {
    status_with(code, code.sentence())
}

/// As [`status`], with a sentence of its own that is fit for the caller.
pub(crate) fn status_with(code: Code, sentence: &str) -> Status {
    refusal::status_with(code, &format!("{code}: {sentence}"))
}

/// What a message is told that does not follow the protocol: the field and its rule, never its value.
pub(crate) fn malformed(code: Code, error: &wire::Error) -> Status {
    status_with(code, &error.to_string())
}

/// What is told of a defect: nothing but that there is one; the log has the rest.
pub(crate) fn internal(error: &record::Error) -> Status {
    tracing::error!(%error, "a call cannot be answered");
    status(Code::CoordinatorInternal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_the_code_and_its_sentence() {
        let status = status(Code::ExperimentUnknown);
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert_eq!(refusal::code(&status), Some(Code::ExperimentUnknown));
        assert_eq!(
            status.message(),
            "experiment.unknown: The coordinator has no experiment with this identifier."
        );
    }
}
