//! The closed list of codes, each with the one sentence that may be said in public.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($variant:ident, $text:literal, $since:ident, $retry:ident, $sentence:literal;)*) => {
        /// What a round, an experiment or a call ended with.
        ///
        /// The list is closed: a new code is a new variant, a new page in `docs/errors/`, and a cause that a test
        /// reaches. Texts of exceptions, paths and values never travel; a code and its sentence do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`: ", $sentence)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the phases that give them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The fixed public sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// Whether a cause for it exists yet, or which capability brings one.
            pub const fn since(self) -> Since {
                match self { $(Self::$variant => Since::$since,)* }
            }

            /// What asking again can change.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }
        }
    };
}

/// When a code got, or gets, its first cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// It can happen today.
    Today,
    /// Grants, policies and the audit log bring its cause.
    Governance,
}

/// What sending the same request again can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Another attempt may end differently.
    MayHelp,
    /// The same request always ends the same way.
    CannotHelp,
    /// Nothing, until the data's owner has decided.
    NeedsApproval,
}

codes! {
    Ok, "ok", Today, CannotHelp, "The operation succeeded.";
    RequestInvalid, "request.invalid", Today, CannotHelp, "The request does not follow the protocol.";
    DataUnknown, "data.unknown", Today, CannotHelp, "The node has no dataset with this identifier.";
    RoundSpent, "round.spent", Today, MayHelp, "The node was restored from a backup and takes no request that was made before.";
    NodeUnavailable, "node.unavailable", Today, MayHelp, "The node cannot take rounds at present; nothing was run.";
    ArgumentsInvalid, "arguments.invalid", Today, CannotHelp, "A training argument breaks its rule.";
    PlanUnavailable, "plan.unavailable", Today, MayHelp, "The training plan could not be fetched.";
    PlanDigestMismatch, "plan.digest_mismatch", Today, CannotHelp, "The training plan that was fetched is not the one that was named.";
    PlanUnsupportedRuntime, "plan.unsupported_runtime", Today, CannotHelp, "The node does not offer the runtime that the training plan needs.";
    PlanNotRegistered, "plan.not_registered", Today, NeedsApproval, "The training plan is new to the node and is now listed there, waiting for its owner's decision.";
    PlanNotApproved, "plan.not_approved", Today, NeedsApproval, "The training plan waits for the decision of the data's owner.";
    PlanRejected, "plan.rejected", Today, CannotHelp, "The data's owner has rejected the training plan.";
    PlanRevoked, "plan.revoked", Today, NeedsApproval, "The data's owner has withdrawn the approval of the training plan.";
    PolicyDenied, "policy.denied", Today, CannotHelp, "The node's policy does not allow this request.";
    AuditUnavailable, "audit.unavailable", Today, MayHelp, "The node cannot write its audit log and therefore runs nothing.";
    ParametersUnavailable, "parameters.unavailable", Today, MayHelp, "The global parameters could not be fetched.";
    ParametersInvalid, "parameters.invalid", Today, CannotHelp, "The global parameters are not a well-formed safetensors file.";
    PlanNotLoadable, "plan.not_loadable", Today, CannotHelp, "The training plan could not be loaded.";
    SandboxUnavailable, "sandbox.unavailable", Today, CannotHelp, "The node cannot confine the training plan as its owner requires.";
    PlanInitFailed, "plan.init_failed", Today, CannotHelp, "The training plan could not build its model from these arguments.";
    ParametersMismatch, "parameters.mismatch", Today, CannotHelp, "The global parameters do not fit the training plan's model.";
    DataUnavailable, "data.unavailable", Today, MayHelp, "The dataset could not be opened.";
    DataInvalid, "data.invalid", Today, CannotHelp, "The dataset is not what the training plan or its registration says.";
    DataTooFewSamples, "data.too_few_samples", Today, CannotHelp, "The dataset has fewer samples than the node requires.";
    DataNoTrainingSamples, "data.no_training_samples", Today, CannotHelp, "No sample is left to train on.";
    TrainingFailed, "training.failed", Today, CannotHelp, "The training failed inside the training plan.";
    TrainingDiverged, "training.diverged", Today, CannotHelp, "The training diverged: the loss or a parameter is no longer finite.";
    PlanExportFailed, "plan.export_failed", Today, MayHelp, "The trained parameters could not be exported.";
    EgressDenied, "egress.denied", Today, CannotHelp, "The update is not what may leave the node.";
    EgressHeld, "egress.held", Today, MayHelp, "The update waits for the release of the data's owner.";
    ResultsUploadFailed, "results.upload_failed", Today, MayHelp, "The coordinator refused the update.";
    LimitsTime, "limits.time", Today, CannotHelp, "The training plan used more time than it may.";
    LimitsMemory, "limits.memory", Today, CannotHelp, "The training plan needs more memory than it may use.";
    LimitsCpu, "limits.cpu", Today, CannotHelp, "The training plan used more processor time than it may.";
    LimitsProcesses, "limits.processes", Today, CannotHelp, "The training plan started more processes than it may.";
    LimitsDisk, "limits.disk", Today, CannotHelp, "The training plan wrote more than it may.";
    LimitsOutput, "limits.output", Today, CannotHelp, "The training plan's output is larger than it may be.";
    SandboxViolation, "sandbox.violation", Today, CannotHelp, "The training plan tried something that no plan may do.";
    Cancelled, "cancelled", Today, CannotHelp, "The round was cancelled.";
    DeadlineExceeded, "deadline.exceeded", Today, MayHelp, "The round's time was over before it ended.";
    NodeInterrupted, "node.interrupted", Today, MayHelp, "The node was interrupted in every attempt.";
    NodeInternal, "node.internal", Today, MayHelp, "The node met a defect of its own; its log tells more under the correlation id.";
    RoundClosed, "round.closed", Today, CannotHelp, "The round ended before the reply came.";
    NodesTooFew, "nodes.too_few", Today, MayHelp, "Too few of the selected nodes are connected.";
    ApprovalTimedOut, "approval.timed_out", Today, MayHelp, "Too few of the selected nodes approved the training plan in time.";
    ApprovalRefused, "approval.refused", Today, CannotHelp, "The training plan was refused where it was needed.";
    RoundTooFewUpdates, "round.too_few_updates", Today, MayHelp, "Too few nodes finished the round, in every attempt.";
    AggregationNoSamples, "aggregation.no_samples", Today, CannotHelp, "No update of the round counts a sample, so there is no mean.";
    StorageFull, "storage.full", Today, MayHelp, "The coordinator has no disk space left.";
    ExperimentUnknown, "experiment.unknown", Today, CannotHelp, "The coordinator has no experiment with this identifier.";
    ExperimentState, "experiment.state", Today, CannotHelp, "The experiment is in a state in which this cannot be done.";
    ExperimentInvalid, "experiment.invalid", Today, CannotHelp, "The experiment breaks a rule.";
    ArtifactUnknown, "artifact.unknown", Today, CannotHelp, "The artifact is not there, or not for this caller.";
    WireVersion, "wire.version", Today, CannotHelp, "The two sides speak different versions of the protocol.";
    IdentityRefused, "identity.refused", Today, CannotHelp, "The coordinator does not accept this identity or token.";
    NodeNameTaken, "node.name_taken", Today, MayHelp, "Another node is connected under this name.";
    CoordinatorBusy, "coordinator.busy", Today, MayHelp, "The coordinator has reached a limit of its own.";
    CoordinatorInternal, "coordinator.internal", Today, MayHelp, "The coordinator met a defect of its own; its log tells more.";
}

impl Code {
    /// Whether this is the code of success.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A text is not a code of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown code")]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_from_its_text() {
        for &code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
            assert!(code.sentence().ends_with('.'), "{code} has a sentence");
        }
    }
}
