//! Named cases: one for each rule of a round, and one for each failure that was ever found.

use protocol::{Code, Mode, Phase, Timestamp, Warning};

use crate::round::environment::{Environment, Move};
use crate::round::{
    Action, Deadline, Event, Failure, Note, Outcome, RestoreError, Round, Ticket, Validation,
};

/// Delivers in order until the phase is asked for.
fn reach(environment: &mut Environment, phase: Phase) {
    for _ in 0..40 {
        if environment.round.phase() == phase && environment.count(phase) > 0 {
            return;
        }
        environment.make(Move::Deliver(0));
    }
    panic!("{phase} is never reached: {:?}", environment.round);
}

fn ticket(environment: &Environment) -> Ticket {
    let last = environment.actions.iter().rev().find_map(|action| match action {
        Action::Perform { ticket, .. } => Some(*ticket),
        _ => None,
    });
    last.expect("a phase was asked for")
}

fn fails(environment: &mut Environment, failure: impl Into<Failure>) {
    let ticket = ticket(environment);
    environment
        .tell(Event::Answered { ticket, outcome: Outcome::Failed { failure: failure.into() } });
}

fn both_validations() -> Outcome {
    Outcome::ArgumentsParsed {
        before: Validation::Wanted,
        after: Validation::Wanted,
        warnings: vec![Warning::ValidationSplitChanges],
    }
}

#[test]
fn an_undisturbed_round_needs_four_commits_and_its_delivery() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
    assert_eq!(environment.journal.len(), 5);
    assert!(environment.actions.contains(&Action::Clean));
    assert!(environment.actions.contains(&Action::DiscardUpdate));
}

#[test]
fn the_phases_come_in_their_order() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Arguments);
    let ticket = ticket(&environment);
    environment.tell(Event::Answered { ticket, outcome: both_validations() });
    environment.settle();
    let phases: Vec<Phase> = environment
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Perform { phase, .. } => Some(*phase),
            Action::SendReply => Some(Phase::Reply),
            Action::Clean => Some(Phase::Clean),
            _ => None,
        })
        .collect();
    assert_eq!(phases, Phase::ALL);
}

#[test]
fn validate_skips_training_and_export_and_sends_no_update() {
    let mut environment = Environment::accept(Mode::Validate, []);
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
    for phase in [Phase::Train, Phase::ValidateAfter, Phase::Export, Phase::Upload] {
        assert_eq!(environment.count(phase), 0, "{phase}");
    }
    assert_eq!(environment.count(Phase::Egress), 1, "metrics pass the egress rules");
}

#[test]
fn no_row_to_train_on_is_an_outcome_in_mode_train_only() {
    for (mode, code) in [(Mode::Train, Code::DataNoTrainingSamples), (Mode::Validate, Code::Ok)] {
        let mut environment = Environment::accept(mode, []);
        reach(&mut environment, Phase::Data);
        let ticket = ticket(&environment);
        let outcome =
            Outcome::DataOpened { training_rows: 0, validation_rows: 50, warnings: Vec::new() };
        environment.tell(Event::Answered { ticket, outcome });
        environment.settle();
        assert_eq!(environment.code(), code);
    }
}

#[test]
fn every_code_of_every_phase_ends_the_round_with_itself() {
    for &phase in Phase::ALL {
        for &code in crate::round::failure_codes(phase) {
            let mut environment = Environment::accept(Mode::Train, []);
            reach(&mut environment, phase);
            fails(&mut environment, code);
            environment.settle();
            assert_eq!(environment.code(), code, "{phase}");
        }
    }
}

#[test]
fn a_limit_ends_the_round_only_where_a_plan_runs() {
    for (phase, code) in [
        (Phase::Instantiate, Code::LimitsMemory),
        (Phase::Train, Code::LimitsTime),
        (Phase::Export, Code::SandboxViolation),
        (Phase::Plan, Code::NodeInternal),
        (Phase::Egress, Code::NodeInternal),
    ] {
        let mut environment = Environment::accept(Mode::Train, []);
        reach(&mut environment, phase);
        let given = if code == Code::NodeInternal { Code::LimitsCpu } else { code };
        fails(&mut environment, given);
        assert!(
            matches!(environment.round, Round::AwaitingStop(_)),
            "the runtime is stopped first"
        );
        environment.settle();
        assert_eq!(environment.code(), code, "{phase}");
    }
}

#[test]
fn a_cancel_stops_what_runs_before_the_reply() {
    for &phase in Phase::ALL {
        if phase >= Phase::Reply || [Phase::ValidateBefore, Phase::ValidateAfter].contains(&phase) {
            continue;
        }
        let mut environment = Environment::accept(Mode::Train, []);
        reach(&mut environment, phase);
        environment.make(Move::Cancel);
        assert!(matches!(environment.round, Round::AwaitingStop(_)), "{phase}");
        environment.settle();
        assert_eq!(environment.code(), Code::Cancelled, "{phase}");
    }
}

#[test]
fn a_cancel_survives_a_crash() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Train);
    environment.make(Move::Cancel);
    environment.restart();
    environment.settle();
    assert_eq!(environment.code(), Code::Cancelled);
    assert_eq!(environment.count(Phase::Arguments), 1);
}

#[test]
fn a_cancel_after_the_reply_changes_nothing() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.make(Move::Disconnect);
    environment.make(Move::Reconnect);
    environment.settle();
    let journal = environment.journal.len();
    environment.make(Move::Cancel);
    assert_eq!(environment.code(), Code::Ok);
    assert_eq!(environment.journal.len(), journal);
}

#[test]
fn the_deadline_ends_a_round_that_waits_for_a_slot() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.make(Move::Deliver(0));
    assert!(matches!(environment.round, Round::AwaitingSlot(_)));
    environment.make(Move::Wait(60_000));
    environment.tell(Event::DeadlinePassed);
    environment.settle();
    assert_eq!(environment.code(), Code::DeadlineExceeded);
    assert_eq!(environment.count(Phase::Arguments), 0);
}

#[test]
fn a_slot_that_comes_after_the_deadline_starts_no_attempt() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.make(Move::Deliver(0));
    environment.make(Move::Wait(60_000));
    environment.settle();
    assert_eq!(environment.code(), Code::DeadlineExceeded);
    assert_eq!(environment.count(Phase::Arguments), 0);
}

#[test]
fn a_deadline_that_fires_early_is_set_aside() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.tell(Event::DeadlinePassed);
    assert_eq!(environment.actions.last(), Some(&Action::Note { note: Note::StaleDeadline }));
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
}

#[test]
fn the_outcome_of_an_earlier_attempt_is_stale() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Export);
    let old = ticket(&environment);
    environment.restart();
    reach(&mut environment, Phase::Export);
    let before = environment.round.clone();
    let failure = Code::PlanExportFailed.into();
    let event = Event::Answered { ticket: old, outcome: Outcome::Failed { failure } };
    assert!(!environment.round.records(&event));
    environment.tell(event);
    assert_eq!(environment.round, before);
    assert_eq!(environment.actions.last(), Some(&Action::Note { note: Note::StaleOutcome }));
}

#[test]
fn a_stale_export_is_not_recorded() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Export);
    environment.make(Move::Cancel);
    environment.make(Move::Deliver(0));
    assert!(environment.journal.iter().all(|(event, _)| !matches!(event, Event::Answered { .. })));
    environment.settle();
    assert_eq!(environment.code(), Code::Cancelled);
}

#[test]
fn the_third_interrupted_attempt_is_the_last() {
    let mut environment = Environment::accept(Mode::Train, []);
    for attempt in 1..=3 {
        reach(&mut environment, Phase::Train);
        assert_eq!(environment.round.attempt(), attempt);
        environment.restart();
    }
    environment.settle();
    assert_eq!(environment.code(), Code::NodeInterrupted);
    assert_eq!(environment.count(Phase::Arguments), 3);
}

#[test]
fn an_attempt_counts_from_its_record_on() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.make(Move::Deliver(0));
    environment.make(Move::Deliver(0));
    assert!(matches!(environment.round, Round::AwaitingAttemptRecord(_)));
    environment.make(Move::CrashAfterCommit(0));
    reach(&mut environment, Phase::Train);
    assert_eq!(environment.round.attempt(), 2);
}

#[test]
fn a_restart_after_the_deadline_starts_no_attempt() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Train);
    environment.make(Move::Wait(60_000));
    environment.restart();
    environment.settle();
    assert_eq!(environment.code(), Code::DeadlineExceeded);
    assert_eq!(environment.count(Phase::Arguments), 1);
}

#[test]
fn a_restart_after_the_export_goes_on_with_egress() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Upload);
    environment.make(Move::Wait(600_000));
    environment.restart();
    environment.settle();
    assert_eq!(environment.code(), Code::Ok, "the result exists, however late");
    assert_eq!(environment.count(Phase::Train), 1);
    assert_eq!(environment.count(Phase::Egress), 2);
    assert_eq!(environment.replies()[0].warnings, [Warning::DataRowsDropped]);
}

#[test]
fn a_lost_export_is_made_again_from_the_top() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Egress);
    environment.make(Move::LoseFile);
    environment.restart();
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
    assert_eq!(environment.count(Phase::Train), 2);
}

#[test]
fn an_export_lost_after_the_deadline_is_not_made_again() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Egress);
    environment.make(Move::LoseFile);
    environment.make(Move::Wait(60_000));
    environment.restart();
    environment.settle();
    assert_eq!(environment.code(), Code::DeadlineExceeded);
}

#[test]
fn a_recorded_reply_is_sent_again_after_a_restart_and_at_every_connection() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Upload);
    environment.make(Move::Deliver(0));
    environment.make(Move::Disconnect);
    environment.make(Move::Deliver(0));
    assert_eq!(environment.sent.len(), 1);
    environment.restart();
    assert_eq!(environment.sent.len(), 2);
    environment.settle();
    assert_eq!(environment.sent.len(), 3);
    assert!(environment.sent.iter().all(|reply| reply == environment.replies()[0]));
}

#[test]
fn a_known_request_is_answered_with_the_stored_reply() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.make(Move::AskAgain);
    assert!(environment.sent.is_empty(), "it still runs");
    environment.settle();
    environment.make(Move::AskAgain);
    assert_eq!(environment.sent.len(), 2);
    assert_eq!(environment.count(Phase::Train), 1);
}

#[test]
fn a_late_reply_counts_as_delivered_and_drops_the_file() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.make(Move::CloseRound);
    environment.settle();
    assert!(matches!(environment.journal.last(), Some((Event::Closed, _))));
    assert!(environment.actions.contains(&Action::DiscardUpdate));
}

#[test]
fn an_unreachable_coordinator_is_no_outcome_and_frees_the_slot() {
    let mut environment = Environment::accept(Mode::Train, []);
    environment.make(Move::Disconnect);
    reach(&mut environment, Phase::Upload);
    environment.make(Move::Deliver(0));
    assert!(matches!(environment.round, Round::AwaitingCoordinator(_)));
    assert!(environment.actions.contains(&Action::Clean));
    assert_eq!(environment.round.deadline(), Deadline::Lifted);
    environment.make(Move::Wait(600_000));
    environment.tell(Event::DeadlinePassed);
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
    let cleans = environment.actions.iter().filter(|action| **action == Action::Clean).count();
    assert_eq!(cleans, 1, "phase 17 happens once");
}

#[test]
fn the_third_refusal_of_the_file_ends_the_round() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Upload);
    for _ in 0..3 {
        assert!(matches!(environment.round, Round::AwaitingUpload(_)));
        let ticket = ticket(&environment);
        environment.tell(Event::Answered { ticket, outcome: Outcome::UploadRefused });
    }
    environment.settle();
    assert_eq!(environment.code(), Code::ResultsUploadFailed);
    assert_eq!(environment.replies()[0].update, None);
}

#[test]
fn a_held_update_stops_the_clock() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Egress);
    environment.make(Move::Wait(50_000));
    let ticket = ticket(&environment);
    environment.tell(Event::Answered { ticket, outcome: Outcome::EgressHeld });
    assert_eq!(environment.round.deadline(), Deadline::Held(std::time::Duration::from_secs(10)));
    environment.make(Move::Wait(3_600_000));
    environment.tell(Event::DeadlinePassed);
    assert!(matches!(environment.round, Round::AwaitingRelease(_)));
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
    let at = environment.now.after(std::time::Duration::from_secs(10));
    assert!(environment.actions.contains(&Action::ArmDeadline { at }), "the rest is given back");
}

#[test]
fn an_owner_who_refuses_a_held_update_denies_it() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Egress);
    let held = ticket(&environment);
    environment.tell(Event::Answered { ticket: held, outcome: Outcome::EgressHeld });
    let asked = environment.actions.iter().find_map(|action| match action {
        Action::AwaitRelease { ticket } => Some(*ticket),
        _ => None,
    });
    let failure = Code::EgressDenied.into();
    let ticket = asked.expect("the owner is asked");
    environment.tell(Event::Answered { ticket, outcome: Outcome::Failed { failure } });
    environment.settle();
    assert_eq!(environment.code(), Code::EgressDenied);
    assert!(environment.actions.contains(&Action::DiscardUpdate));
}

#[test]
fn a_validation_that_fails_softly_is_a_warning() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Arguments);
    let ticket = ticket(&environment);
    environment.tell(Event::Answered { ticket, outcome: both_validations() });
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
    assert_eq!(
        environment.replies()[0].warnings,
        [Warning::ValidationSplitChanges, Warning::DataRowsDropped, Warning::MetricFailed],
        "each once, in the order in which they came"
    );
}

#[test]
fn an_answer_of_the_wrong_kind_is_a_defect_with_a_name() {
    let mut environment = Environment::accept(Mode::Train, []);
    reach(&mut environment, Phase::Plan);
    let ticket = ticket(&environment);
    environment.tell(Event::Answered { ticket, outcome: Outcome::Trained });
    environment.settle();
    assert_eq!(environment.code(), Code::NodeInternal);
}

#[test]
fn an_event_without_meaning_is_noted() {
    let mut environment = Environment::accept(Mode::Train, []);
    for event in [Event::Acknowledged, Event::Closed, Event::AttemptStarted { attempt: 7 }] {
        environment.tell(event);
        assert_eq!(environment.actions.last(), Some(&Action::Note { note: Note::Unexpected }));
    }
    assert_eq!(environment.journal.len(), 1);
    environment.settle();
    assert_eq!(environment.code(), Code::Ok);
}

#[test]
fn records_that_do_not_start_with_the_acceptance_are_refused() {
    let now = Timestamp::from_milliseconds(0);
    assert_eq!(Round::restore([], now), Err(RestoreError::NotAccepted));
    assert_eq!(Round::restore([(Event::Acknowledged, now)], now), Err(RestoreError::NotAccepted));
}
