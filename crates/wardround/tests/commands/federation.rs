//! A coordinator and a node as real processes, with a small table of the node's own.

use crate::daemon::Daemon;
use crate::place::Place;

/// A coordinator and its node `north`, which has the dataset `ward` of sixty patients.
pub(crate) struct Federation {
    // The daemons end before their folder goes: fields are dropped in this order.
    pub(crate) node: Daemon,
    pub(crate) coordinator: Daemon,
    pub(crate) place: Place,
}

/// Whether the node's owner has registered the plan before anybody asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Approved,
    Undecided,
}

impl Federation {
    pub(crate) fn start(owner: Owner) -> Self {
        let mut place = Place::new();
        place.write("ward.csv", table());
        place.write("plan.toml", PLAN);
        place.write("experiment.toml", EXPERIMENT);
        place.done(&["coordinator", "init", "--dir", "coordinator"]);
        let start = [
            "coordinator",
            "start",
            "--dir",
            "coordinator",
            "--insecure-loopback",
            "--listen",
            "127.0.0.1:0",
            "--json",
        ];
        let mut coordinator = Daemon::start(&place, &start);
        let ready = coordinator.await_event(|event| event["event"] == "listening");
        let url = ready["address"].as_str().expect("the ready line has an address").to_owned();
        place.coordinator = Some(url.clone());
        place.done(&["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north"]);
        let add = ["node", "dataset", "add", "ward.csv", "--dir", "north", "--name", "ward"];
        place.done(&[&add[..], &["--tag", "sepsis", "--patient-id", "patient"]].concat());
        if owner == Owner::Approved {
            place.done(&["node", "plan", "register", "plan.toml", "--dir", "north"]);
        }
        let mut node = Daemon::start(&place, &["node", "start", "--dir", "north", "--json"]);
        node.await_event(|event| event["event"] == "connected");
        let federation = Self { node, coordinator, place };
        federation.await_dataset();
        federation
    }

    /// Submits the experiment and gives its identifier.
    pub(crate) fn submit(&self) -> String {
        let document = self.place.document(&["experiment", "submit", "experiment.toml"]);
        document["experiment_id"].as_str().expect("the document has it").to_owned()
    }

    /// Submits the experiment and waits until the node's owner is asked.
    pub(crate) fn submit_and_ask(&self) -> String {
        let id = self.submit();
        let mut watch = Daemon::start(&self.place, &["experiment", "watch", &id, "--json"]);
        watch.await_event(|event| {
            event["event"] == "waiting-for-approval"
                && event["pending"].as_array().is_some_and(|pending| !pending.is_empty())
        });
        id
    }

    /// The node tells of its datasets right after it has connected.
    fn await_dataset(&self) {
        let deadline = std::time::Instant::now() + crate::place::PATIENCE;
        while self
            .place
            .document(&["dataset", "search", "sepsis"])
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            assert!(std::time::Instant::now() < deadline, "the node tells of no dataset");
        }
    }
}

/// Sixty patients, two of each age; the older half has the higher lactate and is septic.
fn table() -> String {
    let rows = (0..60).map(|row| {
        let septic = if row % 2 == 0 { "no" } else { "yes" };
        let lactate = f64::from(row % 2) * 1.5 + f64::from(row % 7) * 0.1;
        format!("p{row},{},{lactate:.1},{septic}\n", 40 + row / 2)
    });
    format!("patient,age,lactate,sepsis\n{}", rows.collect::<String>())
}

const PLAN: &str = r#"[plan]
name = "sepsis"
runtime = "native"

[data]
task = "binary"
target = "sepsis"
classes = ["no", "yes"]
features = ["lactate"]
missing = "error"
standardize = "none"

[metrics]
names = ["ACCURACY"]
default = "ACCURACY"

[model]
init = "zeros"
layers = [{ dense = { units = 1 } }]

[loss]
kind = "binary_cross_entropy"

[optimizer]
kind = "sgd"
"#;

const EXPERIMENT: &str = r#"[experiment]
name = "sepsis from lactate"
tags = ["sepsis"]
plan = "plan.toml"
rounds = 2
seed = 42
min_nodes = 1
round_deadline = "60s"

[training_args]
epochs = 2
test_ratio = 0.2
test_on_global_updates = true

[training_args.loader_args]
batch_size = 8
shuffle = true

[training_args.optimizer_args]
lr = 0.5
"#;
