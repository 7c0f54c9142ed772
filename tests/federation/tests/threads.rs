//! The number of processors and threads is no input: the same seed makes the same bits.

use std::process::Command;

use federation::{ExperimentFile, Federation};

/// What libraries read to decide how many threads they start.
const VARIABLES: [&str; 3] = ["RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS", "OMP_NUM_THREADS"];

/// A perceptron with dropout, whose sums are long enough to be split among threads.
fn file() -> ExperimentFile {
    ExperimentFile {
        plan_change: Some((
            "init = \"zeros\"\nlayers = [{ dense = { units = 1 } }]",
            "init = \"he\"\nlayers = [{ dense = { units = 256 } }, \"relu\", { dropout = { rate = 0.2 } }, { dense = { units = 1 } }]",
        )),
        ..ExperimentFile::default()
    }
}

fn model(federation: &mut Federation) -> String {
    for name in ["north", "south", "east"] {
        federation.add_hospital(name);
    }
    federation.submit_approved(&file()).await_model()
}

#[test]
fn one_two_and_eight_threads_make_the_same_bits() {
    let models: Vec<String> = ["1", "2", "8"]
        .iter()
        .map(|count| model(&mut Federation::with(&VARIABLES.map(|name| (name, *count)), |_| {})))
        .collect();
    assert_eq!(models[0], models[1]);
    assert_eq!(models[1], models[2]);
}

#[test]
fn one_processor_makes_the_bits_that_all_of_them_make() {
    let all = model(&mut Federation::without_hospitals());
    // Children inherit the processors of who starts them.
    let this = std::process::id().to_string();
    let pinned =
        Command::new("taskset").args(["--all-tasks", "--pid", "--cpu-list", "0", &this]).output();
    if !pinned.is_ok_and(|output| output.status.success()) {
        leave_out("no program \"taskset\" that may choose processors");
        return;
    }
    assert_eq!(std::thread::available_parallelism().map_or(0, usize::from), 1);
    assert_eq!(model(&mut Federation::without_hospitals()), all);
}

#[expect(clippy::print_stderr, reason = "a test that cannot be made says so")]
fn leave_out(reason: &str) {
    eprintln!("left out: {reason}");
}
