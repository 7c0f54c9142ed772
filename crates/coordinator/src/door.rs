//! What callers are told: one table from code to gRPC status, and public sentences only.

use protocol::{Code, wire};
use tonic::Status;

use crate::record;

/// Turns a code into the status that carries it; the message is the code and its public sentence.
pub(crate) fn status(code: Code) -> Status {
    status_with(code, code.sentence())
}

/// As [`status`], with a sentence of its own that is fit for the caller.
pub(crate) fn status_with(code: Code, sentence: &str) -> Status {
    Status::new(grpc(code), format!("{code}: {sentence}"))
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

fn grpc(code: Code) -> tonic::Code {
    let entry = TABLE.iter().find(|(known, _)| *known == code);
    // What a round may end with is told in replies and histories, not as the status of a call.
    entry.map_or(tonic::Code::Unknown, |(_, status)| *status)
}

/// The gRPC status of each code that a call may end with.
const TABLE: &[(Code, tonic::Code)] = &[
    (Code::Ok, tonic::Code::Ok),
    (Code::RequestInvalid, tonic::Code::InvalidArgument),
    (Code::ExperimentInvalid, tonic::Code::InvalidArgument),
    (Code::ExperimentUnknown, tonic::Code::NotFound),
    (Code::ArtifactUnknown, tonic::Code::NotFound),
    (Code::ExperimentState, tonic::Code::FailedPrecondition),
    (Code::WireVersion, tonic::Code::FailedPrecondition),
    (Code::PolicyDenied, tonic::Code::PermissionDenied),
    (Code::NodeNameTaken, tonic::Code::AlreadyExists),
    (Code::CoordinatorBusy, tonic::Code::ResourceExhausted),
    (Code::StorageFull, tonic::Code::ResourceExhausted),
    (Code::CoordinatorInternal, tonic::Code::Internal),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_the_code_and_its_sentence() {
        let status = status(Code::ExperimentUnknown);
        assert_eq!(status.code(), tonic::Code::NotFound);
        assert_eq!(
            status.message(),
            "experiment.unknown: The coordinator has no experiment with this identifier."
        );
    }

    #[test]
    fn no_code_of_a_coordinator_is_unknown_to_the_table() {
        for &code in Code::ALL {
            let of_calls = ["coordinator.", "experiment.", "wire.", "storage."];
            if of_calls.iter().any(|prefix| code.as_str().starts_with(prefix)) {
                assert_ne!(grpc(code), tonic::Code::Unknown, "{code}");
            }
        }
    }
}
