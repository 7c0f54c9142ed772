//! How a call is refused: one table from codes to gRPC statuses, and the way back.

use tonic::metadata::MetadataValue;
use tonic::{Code as GrpcCode, Status};

use crate::Code;
use crate::code::Retry;

/// Refuses a call with a code and its public sentence.
///
/// # Examples
///
/// ```
/// use protocol::Code;
/// use protocol::wire::refusal;
///
/// let status = refusal::status(Code::ExperimentUnknown);
/// assert_eq!(status.code(), tonic::Code::NotFound);
/// assert_eq!(status.message(), Code::ExperimentUnknown.sentence());
/// assert_eq!(refusal::code(&status), Some(Code::ExperimentUnknown));
/// ```
pub fn status(code: Code) -> Status {
    status_with(code, code.sentence())
}

/// Refuses a call with a code and words that name the field and the rule of what the caller sent.
pub fn status_about(code: Code, error: &super::Error) -> Status {
    status_with(code, &error.to_string())
}

/// Refuses a call with a code and words of its own, which must be fit for the caller.
pub fn status_with(code: Code, message: &str) -> Status {
    let mut status = Status::new(grpc_code(code), message);
    status.metadata_mut().insert(KEY, MetadataValue::from_static(code.as_str()));
    status
}

/// The code that a refusal carries; none where the refusal is not ours.
pub fn code(status: &Status) -> Option<Code> {
    status.metadata().get(KEY)?.to_str().ok()?.parse().ok()
}

fn grpc_code(code: Code) -> GrpcCode {
    let named = TABLE.iter().find(|(codes, _)| codes.contains(&code));
    match (named, code.retry()) {
        (Some((_, grpc)), _) => *grpc,
        (None, Retry::MayHelp) => GrpcCode::Unavailable,
        (None, Retry::CannotHelp | Retry::NeedsApproval) => GrpcCode::FailedPrecondition,
    }
}

/// The codes that a call is refused with; any other is a matter of what the caller may still do.
const TABLE: &[(&[Code], GrpcCode)] = &[
    (&[Code::Ok], GrpcCode::Ok),
    (&[Code::ExperimentUnknown, Code::ArtifactUnknown, Code::DataUnknown], GrpcCode::NotFound),
    (
        &[Code::RequestInvalid, Code::ArgumentsInvalid, Code::ExperimentInvalid],
        GrpcCode::InvalidArgument,
    ),
    (&[Code::IdentityRefused], GrpcCode::Unauthenticated),
    (&[Code::NodeNameTaken], GrpcCode::AlreadyExists),
    (&[Code::PolicyDenied], GrpcCode::PermissionDenied),
    (&[Code::CoordinatorBusy, Code::StorageFull], GrpcCode::ResourceExhausted),
    (&[Code::Cancelled], GrpcCode::Cancelled),
    (&[Code::DeadlineExceeded], GrpcCode::DeadlineExceeded),
    (&[Code::CoordinatorInternal, Code::NodeInternal], GrpcCode::Internal),
];

const KEY: &str = "wardround-code";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_from_its_status() {
        for &expected in Code::ALL {
            assert_eq!(code(&status(expected)), Some(expected));
        }
        assert_eq!(code(&Status::internal("somebody else's")), None);
    }
}
