//! What holds for a round whatever happens around it.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::{Mode, Phase};

use crate::round::environment::{Environment, Move};
use crate::round::{Event, Outcome, Round};

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        12 => any::<usize>().prop_map(Move::Deliver),
        2 => any::<usize>().prop_map(Move::Repeat),
        1 => Just(Move::Crash),
        1 => any::<usize>().prop_map(Move::CrashAfterCommit),
        2 => (0..20_000_u64).prop_map(Move::Wait),
        1 => Just(Move::Cancel),
        1 => Just(Move::Disconnect),
        1 => Just(Move::Reconnect),
        1 => Just(Move::AskAgain),
        1 => Just(Move::LoseFile),
        1 => Just(Move::CloseRound),
    ];
    vec(one, 0..60)
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![4 => Just(Mode::Train), 1 => Just(Mode::Validate)]
}

fn lived(mode: Mode, fates: Vec<u8>, moves: Vec<Move>) -> Environment {
    let mut environment = Environment::accept(mode, fates);
    for step in moves {
        environment.make(step);
    }
    environment
}

fn trainings_after_export(environment: &Environment) -> Option<usize> {
    let is_export =
        |event: &Event| matches!(event, Event::Answered { outcome: Outcome::Exported { .. }, .. });
    let at = environment.journal.iter().position(|(event, _)| is_export(event))?;
    let is_attempt = |event: &Event| matches!(event, Event::AttemptStarted { .. });
    Some(environment.journal[at..].iter().filter(|(event, _)| is_attempt(event)).count())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_round_ends_in_exactly_one_reply(mode in modes(), fates in vec(any::<u8>(), 0..40), moves in moves()) {
        let mut environment = lived(mode, fates, moves);
        environment.settle();
        let replies = environment.replies();
        prop_assert_eq!(replies.len(), 1);
        prop_assert!(environment.sent.iter().all(|sent| sent == replies[0]));
        prop_assert!(!environment.sent.is_empty());
    }

    #[test]
    fn attempts_are_numbered_and_at_most_three(mode in modes(), fates in vec(any::<u8>(), 0..40), moves in moves()) {
        let mut environment = lived(mode, fates, moves);
        environment.settle();
        let attempts: Vec<u32> = environment.journal.iter().filter_map(|(event, _)| match event {
            Event::AttemptStarted { attempt } => Some(*attempt),
            _ => None,
        }).collect();
        let expected: Vec<u32> = (1..=3).take(attempts.len()).collect();
        prop_assert_eq!(attempts, expected);
    }

    #[test]
    fn an_export_whose_file_survives_is_never_trained_again(fates in vec(any::<u8>(), 0..40), moves in moves()) {
        let moves = moves.into_iter().filter(|step| !matches!(step, Move::LoseFile)).collect();
        let mut environment = lived(Mode::Train, fates, moves);
        environment.settle();
        if let Some(trainings) = trainings_after_export(&environment) {
            prop_assert_eq!(trainings, 0);
        }
    }

    #[test]
    fn no_attempt_starts_after_the_deadline_was_seen(moves in moves()) {
        let mut environment = lived(Mode::Train, Vec::new(), moves);
        environment.make(Move::Wait(120_000));
        let before = environment.count(Phase::Arguments);
        environment.restart();
        environment.settle();
        prop_assert_eq!(environment.count(Phase::Arguments), before);
    }

    #[test]
    fn the_same_journal_restores_the_same_state(mode in modes(), fates in vec(any::<u8>(), 0..40), moves in moves()) {
        let environment = lived(mode, fates, moves);
        let one = Round::restore(environment.journal.clone(), environment.now);
        let other = Round::restore(environment.journal.clone(), environment.now);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn the_same_events_replay_to_the_same_state_and_actions(fates in vec(any::<u8>(), 0..40), moves in moves()) {
        let one = lived(Mode::Train, fates.clone(), moves.clone());
        let other = lived(Mode::Train, fates, moves);
        prop_assert_eq!(one.round, other.round);
        prop_assert_eq!(one.actions, other.actions);
        prop_assert_eq!(one.journal, other.journal);
    }

    #[test]
    fn a_state_and_its_journal_survive_being_written_down(mode in modes(), fates in vec(any::<u8>(), 0..40), moves in moves()) {
        let environment = lived(mode, fates, moves);
        let text = serde_json::to_string(&environment.round).expect("a state can be written");
        let read: Round = serde_json::from_str(&text).expect("a state can be read");
        prop_assert_eq!(read, environment.round);
        for (event, _) in environment.journal {
            let text = serde_json::to_string(&event).expect("an event can be written");
            let read: Event = serde_json::from_str(&text).expect("an event can be read");
            prop_assert_eq!(read, event);
        }
    }
}
