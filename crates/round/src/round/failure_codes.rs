//! Which codes a phase may end a round with: the table of the contract.

use protocol::{Code, Phase};

/// The codes that belong to one phase and to no other.
///
/// Beside these, the phases from instantiate to export may end with [`limit_codes`], and every phase with `cancelled`,
/// `deadline.exceeded`, `node.interrupted` and `node.internal`; one that runs with `plan.revoked`, too.
pub const fn failure_codes(phase: Phase) -> &'static [Code] {
    match phase {
        Phase::Accept => &[Code::RequestInvalid, Code::DataUnknown, Code::NodeUnavailable],
        Phase::Arguments => &[Code::ArgumentsInvalid],
        Phase::Plan => {
            &[Code::PlanUnavailable, Code::PlanDigestMismatch, Code::PlanUnsupportedRuntime]
        }
        Phase::Approval => &[
            Code::PlanNotRegistered,
            Code::PlanNotApproved,
            Code::PlanRejected,
            Code::PlanRevoked,
            Code::PolicyDenied,
            Code::AuditUnavailable,
        ],
        Phase::Parameters => &[Code::ParametersUnavailable, Code::ParametersInvalid],
        Phase::Instantiate => &[Code::PlanNotLoadable, Code::SandboxUnavailable],
        Phase::Initialise => &[Code::PlanInitFailed, Code::ArgumentsInvalid],
        // Whether every value is finite is seen where the values are first read.
        Phase::Load => &[Code::ParametersMismatch, Code::ParametersInvalid],
        Phase::Data => &[
            Code::DataUnavailable,
            Code::DataInvalid,
            Code::DataTooFewSamples,
            Code::DataNoTrainingSamples,
            // Of statistics: whom they would tell of is known once the data are open.
            Code::PolicyDenied,
        ],
        Phase::Train => &[Code::TrainingFailed, Code::TrainingDiverged],
        Phase::Export => &[Code::PlanExportFailed],
        Phase::Egress => &[Code::EgressDenied, Code::EgressHeld, Code::AuditUnavailable],
        Phase::Upload => &[Code::ResultsUploadFailed],
        Phase::ValidateBefore | Phase::ValidateAfter | Phase::Reply | Phase::Clean => &[],
    }
}

/// The codes of limits and of the sandbox, possible wherever a plan runs.
pub const fn limit_codes() -> &'static [Code] {
    &[
        Code::LimitsTime,
        Code::LimitsMemory,
        Code::LimitsCpu,
        Code::LimitsProcesses,
        Code::LimitsDisk,
        Code::LimitsOutput,
        Code::SandboxViolation,
    ]
}

/// Where a code that a step answered comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// It is one of the phase's own; the step has ended by itself.
    Phase,
    /// It is possible in many phases, and something may still be running.
    Anywhere,
    /// The phase cannot end so.
    Defect,
}

impl Blame {
    pub(super) fn of(phase: Phase, code: Code) -> Self {
        let anywhere =
            [Code::Cancelled, Code::PlanRevoked, Code::DeadlineExceeded, Code::NodeInternal];
        let runs_plan = (Phase::Instantiate..=Phase::Export).contains(&phase);
        if failure_codes(phase).contains(&code) {
            Self::Phase
        } else if anywhere.contains(&code) || runs_plan && limit_codes().contains(&code) {
            Self::Anywhere
        } else {
            Self::Defect
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_ends_with_its_own_codes_and_with_those_of_every_phase() {
        assert_eq!(Blame::of(Phase::Train, Code::TrainingDiverged), Blame::Phase);
        assert_eq!(Blame::of(Phase::Train, Code::LimitsMemory), Blame::Anywhere);
        assert_eq!(Blame::of(Phase::Plan, Code::LimitsMemory), Blame::Defect);
        assert_eq!(Blame::of(Phase::Plan, Code::Cancelled), Blame::Anywhere);
        assert_eq!(Blame::of(Phase::Plan, Code::TrainingFailed), Blame::Defect);
        assert_eq!(Blame::of(Phase::Plan, Code::Ok), Blame::Defect);
    }
}
