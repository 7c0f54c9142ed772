//! Work on much data ends soon after it is told to, whatever it is doing.

use std::time::{Duration, Instant};

use protocol::Code;
use runtime::{Failure, Instance, Interruption, Measurement, Monitor, Unfollowed, Validated};
use serde_json::{Map, json};
use training_plan::arguments::TrainingArguments;

use crate::support::{Ward, bundle, logistic_text};

/// Remembers how often, and with which longest pause, it was asked; interrupts at one of the questions.
struct Watch {
    asked: usize,
    interrupts_at: Option<usize>,
    last: Instant,
    longest: Duration,
}

impl Watch {
    fn new(interrupts_at: Option<usize>) -> Self {
        Self { asked: 0, interrupts_at, last: Instant::now(), longest: Duration::ZERO }
    }

    fn look(&mut self) {
        self.longest = self.longest.max(self.last.elapsed());
        self.last = Instant::now();
    }
}

impl Monitor for Watch {
    fn measured(&mut self, _: Measurement) {}

    fn interruption(&mut self) -> Option<Interruption> {
        self.look();
        self.asked += 1;
        self.interrupts_at.filter(|at| self.asked >= *at).map(|_| Interruption::DeadlineExceeded)
    }
}

/// The steps that work on data or files, in their order.
const STEPS: [&str; 4] = ["load", "open the data", "validate", "export"];

fn step(
    name: &str,
    ward: &Ward,
    instance: &mut dyn Instance,
    watch: &mut Watch,
) -> Result<(), Failure> {
    match name {
        "load" => instance.load(&ward.parameters, watch),
        "open the data" => instance.open_data(&ward.grant(), watch).map(drop),
        "validate" => instance.validate(Validated::Global, watch).map(drop),
        _ => instance.export(&ward.folder.path().join("update.safetensors"), watch).map(drop),
    }
}

fn ready(ward: &Ward) -> Box<dyn Instance> {
    let mut instance = ward.instance().expect("the plan is right");
    let arguments = json!({ "test_ratio": 0.5, "test_on_global_updates": true });
    let arguments = TrainingArguments::parse(&arguments).expect("the arguments are right");
    instance.initialise(&Map::new(), &arguments, &mut Unfollowed).expect("the plan fits");
    instance
}

/// Many rows, of which some lack a value, and a model of a few million parameters.
fn large() -> Ward {
    let text = logistic_text("missing = \"drop\"\nstandardize = \"local\"").replace(
        "layers = [",
        "layers = [{ dense = { units = 1024 } }, { dense = { units = 1024 } }, ",
    );
    let columns: Vec<String> = (0..10).map(|column| format!("c{column}")).collect();
    let mut csv = columns.join(",") + ",y\n";
    for row in 0..60_000_usize {
        for column in 0..columns.len() {
            let cell = (row * 7 + column * 13) % 997;
            csv.push_str(&format!("{cell}.25,"));
        }
        csv.push_str(if row % 3 == 0 { "yes\n" } else { "no\n" });
    }
    csv.push_str(",1,2,3,4,5,6,7,8,9,no\n");
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    Ward::new(bundle(&text), &columns, &csv, 1)
}

#[test]
fn every_step_on_much_data_asks_often_and_ends_when_it_is_told_to() {
    let ward = large();
    let mut instance = ready(&ward);
    let mut asked = Vec::new();
    for name in STEPS {
        let mut watch = Watch::new(None);
        step(name, &ward, &mut *instance, &mut watch).expect("nobody interrupts");
        watch.look();
        assert!(watch.asked > 1, "{name} asked {} times", watch.asked);
        assert!(watch.longest < Duration::from_secs(2), "{name} paused {:?}", watch.longest);
        asked.push(watch.asked);
    }
    for (interrupted, count) in asked.iter().enumerate() {
        // At its first question, in the middle, and at the last one.
        for at in [1, count.div_ceil(2), *count] {
            let mut instance = ready(&ward);
            for name in &STEPS[..interrupted] {
                step(name, &ward, &mut *instance, &mut Watch::new(None)).expect("goes on");
            }
            let name = STEPS[interrupted];
            let mut watch = Watch::new(Some(at));
            let failure = step(name, &ward, &mut *instance, &mut watch).expect_err(name);
            watch.look();
            assert_eq!(failure.code, Code::DeadlineExceeded, "{name}: {failure}");
            assert!(watch.longest < Duration::from_secs(2), "{name} paused {:?}", watch.longest);
            assert_eq!(watch.asked, at, "{name} ends at once");
        }
    }
    assert!(!ward.folder.path().join("update.safetensors.partial").exists());
}
