//! Properties over random orders of events, with lost, repeated and late ones, dying nodes and crashes.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::{Code, NodeId};

use super::environment::{Environment, specification};
use super::{Event, FinalValidation, Specification, Start, StateName};

/// One thing that the world does next; the number chooses among the possibilities.
#[derive(Debug, Clone)]
enum Step {
    Deliver(usize),
    DeliverTwice(usize),
    /// The line of the node breaks with everything on it; the node reconnects later.
    Break(usize),
    Reconnect(usize),
    Run(usize),
    Work(usize),
    RepeatWork(usize),
    WorkFails(usize),
    Wait,
    Crash,
    CrashAfterCommit(usize),
    Owner(usize, Code),
    Trouble(usize, Code),
    StorageFilled,
    Revoked,
    Resume,
    Cancel,
}

fn step() -> impl Strategy<Value = Step> {
    let choice = 0..16_usize;
    prop_oneof![
        12 => choice.clone().prop_map(Step::Deliver),
        2 => choice.clone().prop_map(Step::DeliverTwice),
        2 => choice.clone().prop_map(Step::Break),
        3 => choice.clone().prop_map(Step::Reconnect),
        8 => choice.clone().prop_map(Step::Run),
        6 => choice.clone().prop_map(Step::Work),
        1 => choice.clone().prop_map(Step::RepeatWork),
        1 => choice.clone().prop_map(Step::WorkFails),
        3 => Just(Step::Wait),
        1 => Just(Step::Crash),
        2 => choice.clone().prop_map(Step::CrashAfterCommit),
        1 => (choice.clone(), owner()).prop_map(|(node, code)| Step::Owner(node, code)),
        1 => (choice, trouble()).prop_map(|(node, code)| Step::Trouble(node, code)),
        1 => Just(Step::StorageFilled),
        1 => Just(Step::Revoked),
        2 => Just(Step::Resume),
    ]
}

fn owner() -> impl Strategy<Value = Code> {
    prop_oneof![
        3 => Just(Code::Ok),
        1 => Just(Code::PlanNotApproved),
        1 => Just(Code::PlanRejected),
        1 => Just(Code::PlanUnavailable),
    ]
}

fn trouble() -> impl Strategy<Value = Code> {
    prop_oneof![
        3 => Just(Code::Ok),
        1 => Just(Code::NodeUnavailable),
        1 => Just(Code::DataInvalid),
        1 => Just(Code::PlanNotApproved),
        1 => Just(Code::DeadlineExceeded),
    ]
}

fn submission() -> impl Strategy<Value = Specification> {
    let start = prop_oneof![Just(Start::All), Just(Start::Quorum)];
    let validation = prop_oneof![Just(FinalValidation::Run), Just(FinalValidation::Skip)];
    (start, validation, 1..=3_u32, 0..=2_u32).prop_map(
        |(start, final_validation, nodes, retries)| Specification {
            start,
            final_validation,
            min_nodes: nodes.try_into().unwrap(),
            round_retries: retries,
            ..specification()
        },
    )
}

impl Environment {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Deliver(choice) => {
                if let Some(index) = pick(*choice, self.inbox.len()) {
                    let event = self.inbox.remove(index);
                    self.handle(event);
                }
            }
            Step::DeliverTwice(choice) => {
                if let Some(index) = pick(*choice, self.inbox.len()) {
                    let event = self.inbox[index].clone();
                    self.handle(event);
                }
            }
            Step::Break(choice) => self.break_line(*choice),
            Step::Reconnect(choice) => {
                let name = self.name(*choice);
                self.reconnect(&name);
            }
            Step::Run(choice) => {
                let runnable = self.runnable();
                if let Some(index) = pick(*choice, runnable.len()) {
                    let (name, round_id) = runnable[index].clone();
                    self.run(&name, round_id);
                }
            }
            Step::Work(choice) => {
                if let Some(index) = pick(*choice, self.work.len()) {
                    let work = self.work.remove(index);
                    self.handle(work.done());
                }
            }
            Step::RepeatWork(choice) => {
                if let Some(index) = pick(*choice, self.work.len()) {
                    let work = self.work[index].clone();
                    self.handle(work.done());
                }
            }
            Step::WorkFails(choice) => {
                if let Some(index) = pick(*choice, self.work.len()) {
                    let work = self.work.remove(index);
                    self.handle(work.failed(Code::StorageFull));
                }
            }
            Step::Wait => {
                self.wait();
            }
            Step::Crash => self.crash(),
            Step::CrashAfterCommit(choice) => match pick(*choice, self.inbox.len()) {
                Some(index) => {
                    let event = self.inbox.remove(index);
                    self.handle_and_crash(event);
                }
                None => self.crash(),
            },
            Step::Owner(choice, code) => {
                let name = self.name(*choice);
                self.decide(name.as_str(), *code);
            }
            Step::Trouble(choice, code) => {
                let name = self.name(*choice);
                self.node(name.as_str()).ends_with = Some(*code);
            }
            Step::StorageFilled => self.handle(Event::StorageFilled),
            Step::Revoked => {
                let researcher = "ada".parse().expect("is a name");
                self.handle(Event::ResearcherRevoked { researcher });
            }
            Step::Resume => self.handle(Event::ResumeRequested),
            Step::Cancel => self.handle(Event::CancelRequested),
        }
    }

    fn name(&self, choice: usize) -> NodeId {
        self.nodes.keys().nth(choice % self.nodes.len()).unwrap().clone()
    }

    /// What a node had sent is lost with its line; it will send it again.
    fn break_line(&mut self, choice: usize) {
        let name = self.name(choice);
        self.node(name.as_str()).connected = false;
        let open = self.experiment.open_executions();
        self.inbox.retain(|event| match event {
            Event::ReplyReceived { round_id, .. } => {
                !open.iter().any(|(site, id)| id == round_id && site.node == name)
            }
            Event::PlanAnswered { site, .. } => site.node != name,
            _ => true,
        });
    }

    /// Every trouble ends: owners approve, nodes work, lines hold.
    fn heal(&mut self) {
        let names: Vec<NodeId> = self.nodes.keys().cloned().collect();
        for name in &names {
            let node = self.node(name.as_str());
            node.ends_with = None;
            self.decide(name.as_str(), Code::Ok);
            self.reconnect(name);
        }
    }
}

fn pick(choice: usize, length: usize) -> Option<usize> {
    (length > 0).then(|| choice % length)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever happened before: once troubles end and whoever is asked resumes, the experiment completes with the
    /// model of the undisturbed course. What must hold at every step, the environment checks.
    #[test]
    fn every_course_can_be_completed(
        specification in submission(),
        steps in vec(step(), 0..120),
    ) {
        let mut world = Environment::new(specification, &["east", "north", "south"]);
        for step in &steps {
            world.step(step);
        }
        for _ in 0..4 {
            world.heal();
            world.settle();
            if world.state() == StateName::Paused {
                world.handle(Event::ResumeRequested);
            }
        }
        prop_assert_eq!(world.state(), StateName::Completed, "{:?}", world.experiment);
        world.replay();
    }

    /// With nodes that stay dead or broken nothing waits longer than its deadlines: the experiment ends or pauses
    /// with a reason; only owners can keep it waiting.
    #[test]
    fn no_trouble_of_a_node_stalls_an_experiment(
        specification in submission(),
        steps in vec(step(), 0..120),
        dead in 0..3_usize,
    ) {
        let mut world = Environment::new(specification, &["east", "north", "south"]);
        for step in &steps {
            world.step(step);
        }
        for choice in 0..dead {
            world.step(&Step::Break(choice));
        }
        world.settle();
        let resting = world.state();
        prop_assert!(
            resting.is_end() || resting == StateName::Paused || resting == StateName::AwaitingApproval,
            "rests in {resting}"
        );
        if resting == StateName::Paused {
            prop_assert!(world.experiment.pause_reason().is_some());
        }
        world.replay();
    }

    /// A cancel ends every course at once, and nobody is left working for it.
    #[test]
    fn a_cancel_ends_every_course(specification in submission(), steps in vec(step(), 0..80)) {
        let mut world = Environment::new(specification, &["east", "north", "south"]);
        for step in &steps {
            world.step(step);
        }
        world.step(&Step::Cancel);
        prop_assert!(world.state().is_end());
        world.heal();
        world.deliver_all();
        prop_assert!(world.runnable().is_empty(), "some node still works");
        prop_assert!(world.experiment.open_executions().is_empty());
    }
}
