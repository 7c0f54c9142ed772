//! Every rule of a course as a named case, and every failure that was once found.

use std::time::Duration;

use protocol::{Code, Mode};

use super::environment::{Environment, Work, artifact, ignored, site, specification};
use super::{
    Action, AggregationFault, Announcement, Event, FinalValidation, Ignored, PauseReason, Reply,
    Specification, Start, StateName, Ticket, Verdict,
};

const NODES: &[&str] = &["east", "north", "south"];

/// Brings an experiment to the collection of its first round.
fn collecting(specification: Specification) -> Environment {
    let mut world = Environment::new(specification, NODES);
    world.deliver_all();
    assert_eq!(world.state(), StateName::AwaitingReplies);
    world
}

fn announced(world: &Environment, wanted: impl Fn(&Announcement) -> bool) -> bool {
    world.announced.iter().any(wanted)
}

fn aggregated_sites(world: &Environment) -> Vec<String> {
    let inputs = world.actions.iter().find_map(|action| match action {
        Action::Aggregate { inputs, .. } => Some(inputs),
        _ => None,
    });
    inputs.expect("aggregates").iter().map(|input| input.site.to_string()).collect()
}

#[test]
fn an_undisturbed_experiment_completes_with_the_model_of_its_last_round() {
    let mut world = Environment::new(specification(), NODES);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
    assert_eq!(world.experiment.model(), &artifact("model 2"));
}

#[test]
fn too_few_connected_nodes_are_waited_for_until_the_selection_deadline() {
    let mut world = Environment::new(specification(), &["north"]);
    world.deliver_all();
    assert_eq!(world.state(), StateName::Selecting);
    let waiting = Announcement::WaitingForNodes { connected: 1, needed: 2 };
    assert!(announced(&world, |one| *one == waiting));
    assert!(world.wait());
    let reason = PauseReason::TooFewNodes { connected: 1, needed: 2 };
    assert_eq!(world.experiment.pause_reason(), Some(&reason));
    assert_eq!(world.now, super::Timestamp::from_milliseconds(1_750_000_060_000));
}

#[test]
fn a_node_that_comes_while_selecting_is_enough() {
    let mut world = Environment::new(specification(), &["north", "south"]);
    world.inbox.clear();
    world.node("south").connected = false;
    world.handle(Event::SitesConnected { candidates: Vec::new() });
    world.reconnect(&"south".parse().unwrap());
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn an_owner_who_has_not_decided_is_waited_for_and_named() {
    let mut world = Environment::new(specification(), NODES);
    world.node("north").approves = Some(Code::PlanNotRegistered);
    world.settle();
    assert_eq!(world.state(), StateName::AwaitingApproval);
    let last = world.announced.last().unwrap();
    let Announcement::WaitingForApproval { pending, unanswered, .. } = last else {
        panic!("{last:?}")
    };
    assert_eq!((pending.as_slice(), unanswered.as_slice()), (&[site("north")][..], &[][..]));
    world.decide("north", Code::Ok);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn approvals_that_do_not_come_in_time_pause_the_experiment() {
    let approval_deadline = Some(Duration::from_secs(600));
    let mut world = Environment::new(Specification { approval_deadline, ..specification() }, NODES);
    world.node("north").approves = Some(Code::PlanNotApproved);
    world.settle();
    let reason = PauseReason::ApprovalsMissing { sites: vec![site("north")] };
    assert_eq!(world.experiment.pause_reason(), Some(&reason));
}

#[test]
fn a_refusal_pauses_an_experiment_that_wants_everyone() {
    let mut world = Environment::new(specification(), NODES);
    world.node("north").approves = Some(Code::PlanRejected);
    world.settle();
    let reason = PauseReason::PlanRefused { sites: vec![site("north")] };
    assert_eq!(world.experiment.pause_reason(), Some(&reason));
    assert_eq!(reason.to_string(), "the plan was refused at north/records");
}

#[test]
fn a_quorum_starts_without_the_undecided_and_takes_them_in_later() {
    let mut world =
        Environment::new(Specification { start: Start::Quorum, ..specification() }, NODES);
    world.node("north").approves = Some(Code::PlanNotApproved);
    world.deliver_all();
    assert_eq!(world.experiment.open_executions().len(), 2);
    world.decide("north", Code::Ok);
    world.deliver_all();
    assert_eq!(world.experiment.open_executions().len(), 2, "not in the middle of a round");
    world.run_all();
    world.deliver_all();
    world.work_all();
    world.work_all();
    assert_eq!((world.experiment.round(), world.experiment.open_executions().len()), (2, 3));
}

#[test]
fn a_quorum_waits_a_little_for_answers_that_are_on_their_way() {
    let mut world =
        Environment::new(Specification { start: Start::Quorum, ..specification() }, NODES);
    world.node("south").approves = None;
    world.deliver_all();
    assert_eq!(world.state(), StateName::AwaitingApproval);
    world.handle(Event::PlanAnswered { site: site("south"), code: Code::Ok });
    assert_eq!(world.experiment.open_executions().len(), 3);

    let mut world =
        Environment::new(Specification { start: Start::Quorum, ..specification() }, NODES);
    world.node("south").approves = None;
    world.deliver_all();
    while world.state() == StateName::AwaitingApproval {
        assert!(world.wait());
    }
    assert_eq!(world.experiment.open_executions().len(), 2);
    assert_eq!(world.now, super::Timestamp::from_milliseconds(1_750_000_005_000));
}

#[test]
fn a_site_that_could_not_look_at_the_plan_is_asked_again() {
    let mut world = Environment::new(specification(), NODES);
    world.node("east").approves = Some(Code::PlanUnavailable);
    world.deliver_all();
    assert_eq!(world.state(), StateName::AwaitingApproval);
    world.node("east").approves = Some(Code::Ok);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn a_round_does_not_end_before_every_outcome_even_with_enough_successes() {
    let mut world = collecting(specification());
    let runnable = world.runnable();
    for (name, round_id) in &runnable[..2] {
        world.run(name, *round_id);
    }
    world.deliver_all();
    assert_eq!(world.state(), StateName::AwaitingReplies);
    world.run_all();
    world.deliver_all();
    assert_eq!(aggregated_sites(&world), ["east/records", "north/records", "south/records"]);
}

#[test]
fn at_the_deadline_enough_successes_are_aggregated_and_the_others_cancelled() {
    let mut world = collecting(specification());
    let slow = world.requests("south")[0].round_id;
    world.step_line_down("south");
    world.run_all();
    world.deliver_all();
    world.wait_for(StateName::Aggregating);
    assert_eq!(aggregated_sites(&world), ["east/records", "north/records"]);
    let cancel = Action::CancelExecution { node: "south".parse().unwrap(), round_id: slow };
    assert!(world.actions.contains(&cancel));
}

#[test]
fn a_late_reply_is_settled_as_late_and_not_used() {
    let mut world = collecting(specification());
    let late = world.requests("south")[0].round_id;
    world.step_line_down("south");
    world.run_all();
    world.deliver_all();
    world.wait_for(StateName::Aggregating);
    let reply =
        Reply { code: Code::Ok, update: Some(artifact("late")), sample_count: 1, detail: None };
    world.handle(Event::ReplyReceived { round_id: late, reply });
    let settle = Action::SettleReply { round_id: late, verdict: Verdict::Late };
    assert_eq!(world.actions, [settle]);
    assert!(!world.experiment.wants(late));
}

#[test]
fn a_reply_that_comes_twice_is_settled_twice_and_counted_once() {
    let mut world = collecting(specification());
    let (name, round_id) = world.runnable()[0].clone();
    world.run(&name, round_id);
    let event = world.inbox[0].clone();
    world.deliver_all();
    let before = world.experiment.clone();
    world.handle(event);
    assert_eq!(world.actions, [Action::SettleReply { round_id, verdict: Verdict::Collected }]);
    assert_eq!(world.experiment, before);
}

#[test]
fn too_few_successes_are_tried_again_and_what_came_is_kept() {
    let min_nodes = 3.try_into().unwrap();
    let mut world = collecting(Specification { min_nodes, ..specification() });
    let first: Vec<_> = world.experiment.open_executions().into_values().collect();
    world.node("south").ends_with = Some(Code::NodeUnavailable);
    world.run_all();
    world.deliver_all();
    assert!(announced(&world, |one| matches!(one, Announcement::Retrying { retry: 1, .. })));
    world.node("south").ends_with = None;
    while world.experiment.open_executions().is_empty() {
        assert!(world.wait());
    }
    let again = world.experiment.open_executions();
    assert_eq!(again.keys().collect::<Vec<_>>(), [&site("south")]);
    assert!(again.values().all(|id| !first.contains(id)), "a new attempt has a new id");
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn retries_are_counted_and_spaced_then_the_experiment_pauses_and_names_the_failures() {
    let min_nodes = 3.try_into().unwrap();
    let mut world = collecting(Specification { min_nodes, ..specification() });
    world.node("south").ends_with = Some(Code::NodeUnavailable);
    let started = world.now;
    world.settle();
    let reason = world.experiment.pause_reason().unwrap().clone();
    let PauseReason::TooFewUpdates { round: 1, succeeded: 2, needed: 3, failures } = &reason else {
        panic!("{reason:?}")
    };
    assert_eq!((&failures[0].site, failures[0].code), (&site("south"), Code::NodeUnavailable));
    assert_eq!(started.until(world.now), Duration::from_secs(1 + 2), "one second, then two");
    assert_eq!(
        reason.to_string(),
        "round 1 has 2 of 3 needed nodes; south/records: node.unavailable"
    );
}

#[test]
fn a_failure_that_a_retry_cannot_cure_is_not_retried() {
    for code in [
        Code::DataInvalid,
        Code::ArgumentsInvalid,
        Code::PolicyDenied,
        Code::ParametersMismatch,
        Code::PlanNotLoadable,
    ] {
        let min_nodes = 3.try_into().unwrap();
        let mut world = collecting(Specification { min_nodes, ..specification() });
        world.node("south").ends_with = Some(code);
        world.run_all();
        world.deliver_all();
        assert_eq!(world.state(), StateName::Paused, "{code}");
    }
}

#[test]
fn a_paused_round_resumes_with_what_it_had_and_with_new_retries() {
    let min_nodes = 3.try_into().unwrap();
    let mut world = collecting(Specification { min_nodes, ..specification() });
    world.node("south").ends_with = Some(Code::DataInvalid);
    world.settle();
    assert_eq!(world.state(), StateName::Paused);
    world.node("south").ends_with = None;
    world.handle(Event::ResumeRequested);
    assert_eq!(world.experiment.open_executions().into_keys().collect::<Vec<_>>(), [site("south")]);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn an_approval_that_is_revoked_in_the_middle_is_waited_for() {
    let mut world = collecting(specification());
    world.node("north").ends_with = Some(Code::PlanNotApproved);
    world.node("north").approves = Some(Code::PlanNotApproved);
    world.run_all();
    world.deliver_all();
    assert_eq!(world.state(), StateName::AwaitingApproval);
    world.node("north").ends_with = None;
    world.decide("north", Code::Ok);
    world.deliver_all();
    assert_eq!(world.experiment.open_executions().into_keys().collect::<Vec<_>>(), [site("north")]);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn a_decision_that_overtakes_the_reply_it_answers_is_not_lost() {
    // The owner decided, the node told, and only then came the reply that said "not approved".
    let mut world = collecting(specification());
    world.node("north").ends_with = Some(Code::PlanNotApproved);
    world.decide("north", Code::Ok);
    world.deliver_all();
    world.run_all();
    world.node("north").ends_with = None;
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn a_running_round_gets_its_whole_time_again_after_a_restart() {
    let mut world = collecting(specification());
    let open = world.experiment.open_executions();
    world.now = world.now.after(Duration::from_secs(50));
    world.crash();
    assert_eq!(world.experiment.open_executions(), open, "the same executions, never new ones");
    let deadline = world.timers.iter().map(|(_, at)| *at).max().unwrap();
    assert_eq!(deadline, world.now.after(Duration::from_secs(60)));
}

#[test]
fn a_deadline_from_before_the_restart_is_stale() {
    let mut world = collecting(specification());
    let stale = world.timers.last().unwrap().0;
    world.crash();
    world.handle(Event::DeadlinePassed { ticket: stale });
    assert_eq!(ignored(&world.actions), Some(Ignored::Stale));
}

#[test]
fn work_that_is_reported_with_another_ticket_is_stale() {
    let mut world = collecting(specification());
    world.run_all();
    world.deliver_all();
    let Work::Aggregate(ticket, model) = world.work[0].clone() else { panic!("aggregates") };
    world.crash();
    world.handle(Event::Aggregated { ticket, model });
    assert_eq!(ignored(&world.actions), Some(Ignored::Stale));
    assert_eq!(world.state(), StateName::Aggregating);
}

#[test]
fn a_crash_between_commit_and_action_loses_nothing_in_any_state() {
    let mut world = Environment::new(
        Specification { final_validation: FinalValidation::Run, ..specification() },
        NODES,
    );
    let mut crashes = 0;
    while !world.state().is_end() {
        world.run_all();
        // Nodes repeat what was not acknowledged, so nothing may always come first.
        let possible = world.inbox.len() + world.work.len();
        let choice = crashes % possible.max(1);
        if choice < world.inbox.len() {
            let event = world.inbox.remove(choice);
            world.handle_and_crash(event);
        } else if let Some(work) = world.work.pop() {
            world.handle_and_crash(work.done());
        }
        crashes += 1;
        assert!(crashes < 1_000, "no progress: {:?}", world.experiment);
    }
    assert_eq!(world.state(), StateName::Completed);
    assert_eq!(world.experiment.model(), &artifact("model 2"));
}

#[test]
fn the_last_model_is_measured_where_validation_is_on() {
    let final_validation = FinalValidation::Run;
    let mut world = Environment::new(Specification { final_validation, ..specification() }, NODES);
    while world.state() != StateName::FinalValidation {
        world.deliver_all();
        world.run_all();
        world.deliver_all();
        world.work_all();
    }
    world.deliver_all();
    let requests = world.requests("north");
    let last = requests.iter().find(|one| one.mode == Mode::Validate).unwrap();
    assert_eq!((last.round, &last.parameters), (3, &artifact("model 2")));
    assert_eq!(world.experiment.round(), 2, "no round of training is shown beyond the last");
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
    assert_eq!(world.experiment.model(), &artifact("model 2"));
}

#[test]
fn a_cancel_reaches_every_open_execution_now_and_at_reconnection() {
    let mut world = collecting(specification());
    let open = world.experiment.open_executions();
    world.step_line_down("south");
    world.handle(Event::CancelRequested);
    assert_eq!(world.state(), StateName::Cancelled);
    let south = "south".parse().unwrap();
    let cancel =
        Action::CancelExecution { node: "south".parse().unwrap(), round_id: open[&site("south")] };
    assert!(world.actions.contains(&cancel));
    assert_eq!(world.experiment.greet(&south), [cancel]);
    world.reconnect(&south);
    world.deliver_all();
    assert_eq!(world.experiment.greet(&south), [], "it has replied");
}

#[test]
fn a_full_disk_pauses_and_resuming_goes_on_where_it_was() {
    let mut world = collecting(specification());
    world.handle(Event::StorageFilled);
    assert_eq!(world.experiment.code(), Some(Code::StorageFull));
    world.handle(Event::ResumeRequested);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);

    let mut world = collecting(specification());
    world.run_all();
    world.deliver_all();
    let work = world.work.remove(0);
    world.handle(work.failed(Code::StorageFull));
    assert_eq!(world.state(), StateName::Paused);
    world.handle(Event::ResumeRequested);
    assert_eq!(world.state(), StateName::Aggregating);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn one_unusable_update_is_dropped_and_the_others_are_aggregated() {
    let mut world = collecting(specification());
    world.run_all();
    world.deliver_all();
    let Work::Aggregate(ticket, _) = world.work.remove(0) else { panic!("aggregates") };
    let fault = AggregationFault::Input { site: site("north"), code: Code::ParametersMismatch };
    world.handle(Event::AggregationFailed { ticket, fault });
    let told = Announcement::UpdateUnusable {
        site: site("north"),
        round: 1,
        code: Code::ParametersMismatch,
    };
    assert!(world.actions.contains(&Action::Announce(told)));
    assert_eq!(aggregated_sites(&world), ["east/records", "south/records"]);
}

#[test]
fn a_round_without_samples_fails_with_a_named_reason() {
    let mut world = collecting(specification());
    world.run_all();
    world.deliver_all();
    let work = world.work.remove(0);
    world.handle(work.failed(Code::AggregationNoSamples));
    assert_eq!(world.state(), StateName::Failed);
    assert_eq!(world.experiment.code(), Some(Code::AggregationNoSamples));
}

#[test]
fn a_success_without_an_update_is_a_failure_of_the_node() {
    let mut world = collecting(specification());
    let (_, round_id) = world.runnable()[0].clone();
    let reply = Reply { code: Code::Ok, update: None, sample_count: 10, detail: None };
    world.handle(Event::ReplyReceived { round_id, reply });
    for (name, round_id) in world.runnable().into_iter().skip(1) {
        world.run(&name, round_id);
    }
    world.deliver_all();
    assert_eq!(aggregated_sites(&world), ["north/records", "south/records"]);
}

#[test]
fn a_researcher_who_is_put_out_pauses_what_runs_and_the_pause_names_them() {
    let revoked = || Event::ResearcherRevoked { researcher: "ada".parse().unwrap() };
    let mut world = collecting(specification());
    let open = world.experiment.open_executions().len();
    assert!(open > 0);
    world.handle(revoked());
    assert_eq!(world.experiment.code(), Some(Code::IdentityRefused));
    let reason = world.experiment.pause_reason().map(ToString::to_string);
    assert_eq!(reason.as_deref(), Some("researcher ada was put out of the federation"));
    let is_cancel = |action: &&Action| matches!(action, Action::CancelExecution { .. });
    assert_eq!(world.actions.iter().filter(is_cancel).count(), open, "the sites stop, too");
    world.handle(revoked());
    assert_eq!(ignored(&world.actions), Some(Ignored::Unawaited));
    world.handle(Event::ResumeRequested);
    world.settle();
    assert_eq!(world.state(), StateName::Completed);
}

#[test]
fn an_ended_experiment_ignores_by_name() {
    let mut world = Environment::new(specification(), NODES);
    world.settle();
    for event in [
        Event::CancelRequested,
        Event::ResumeRequested,
        Event::StorageFilled,
        Event::ResearcherRevoked { researcher: "ada".parse().unwrap() },
        Event::Restarted,
        Event::DeadlinePassed { ticket: Ticket::FIRST },
    ] {
        world.handle(event);
        assert_eq!(ignored(&world.actions), Some(Ignored::Ended));
    }
}

impl Environment {
    fn step_line_down(&mut self, name: &str) {
        self.node(name).connected = false;
    }

    fn wait_for(&mut self, state: StateName) {
        while self.state() != state {
            assert!(self.wait(), "never reaches {state}");
        }
    }
}

#[test]
fn a_node_that_says_yes_and_then_no_is_not_asked_for_ever() {
    let mut world = collecting(specification());
    world.node("north").ends_with = Some(Code::PlanNotApproved);
    world.settle();
    assert_eq!(world.state(), StateName::Completed, "the two others suffice");
}
