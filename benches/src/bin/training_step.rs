//! What one training step of the native engine costs, beside PyTorch where it is there.
//!
//! `cargo run --release -p benches --bin training_step [SECONDS [NAME]]` prints for each model the processor time (of
//! the whole process, user and system) and the wall time of a step: forward, loss, backward and optimizer, in single
//! precision, on one random batch of 32 rows that stays the same. Each model runs for SECONDS (2 unless stated
//! otherwise) in ten turns after a warm-up; the median turn is printed, and the fastest. With NAME only the models
//! whose line contains it are measured.
//!
//! PyTorch is asked in turn with the engine, so that both meet the same load: after each turn of the engine it takes
//! as many steps of the same model with the same optimizer on the same batch (fewer where that would last more than
//! five of the engine's turns), once in a process with
//! `torch.set_num_threads(1)` and once with 2. `WARDROUND_TORCH_PYTHON` names its Python, else `python3` is tried.
//! The engine always steps on one thread. "x" is PyTorch's processor time over the engine's, medians both: how many
//! times as fast the engine is.

#![expect(clippy::print_stdout, reason = "the report is the program's purpose")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::{
    machine,
    torch::{Cost, Torch},
};
use engine::{Batch, Model, ModelDescription, Trainer, TrainerSettings};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let seconds = match std::env::args().nth(1) {
        Some(seconds) => seconds.parse().context("the number of seconds is a number")?,
        None => 2.0,
    };
    let name = std::env::args().nth(2).unwrap_or_default();
    machine::print_heading();
    let mut torches = torches();
    println!(
        "{:<38}{:>8}{:>13}{:>11}{:>14}{:>9}",
        "model, optimizer", "steps", "CPU ms/step", "fastest", "wall ms/step", "x"
    );
    for case in cases().iter().filter(|case| case.name.contains(&name)) {
        case.measure(Duration::from_secs_f64(seconds / TURNS as f64), &mut torches)?;
    }
    println!("load average: {}", machine::load());
    Ok(())
}

/// PyTorch with one thread and with two; none, said so, where it is not there.
fn torches() -> Vec<Torch> {
    let python = Torch::python();
    let started: Result<Vec<_>> =
        [1, 2].into_iter().map(|threads| Torch::start(&python, threads)).collect();
    match started {
        Ok(torches) => {
            println!("PyTorch {}, {}", torches[0].version(), python.display());
            torches
        }
        Err(error) => {
            println!("PyTorch is not here, so nothing is compared: {error:#}");
            Vec::new()
        }
    }
}

const TURNS: usize = 10;
/// How many times as long as the engine's turn PyTorch's may be.
const LONGER: u32 = 5;
const ROWS: usize = 32;

/// One line of the report.
struct Case {
    name: &'static str,
    inputs: usize,
    classes: usize,
    layers: Value,
    loss: &'static str,
    optimizer: Value,
}

/// The same as in `torch_training_step.py`, by the same names.
fn cases() -> Vec<Case> {
    let logistic = |name, optimizer| Case {
        name,
        inputs: 30,
        classes: 2,
        layers: json!([{ "dense": { "units": 1 } }]),
        loss: "binary_cross_entropy",
        optimizer,
    };
    let network = |name, optimizer| Case {
        name,
        inputs: 784,
        classes: 10,
        layers: json!([
            { "dense": { "units": 256 } }, { "relu": {} }, { "dense": { "units": 128 } },
            { "relu": {} }, { "dense": { "units": 10 } },
        ]),
        loss: "categorical_cross_entropy",
        optimizer,
    };
    let (sgd, adam) =
        (json!({ "kind": "sgd", "lr": 0.01 }), json!({ "kind": "adam", "lr": 0.001 }));
    vec![
        logistic("logistic 30-1, SGD", sgd.clone()),
        logistic("logistic 30-1, Adam", adam.clone()),
        network("MLP 784-256-128-10, SGD", sgd),
        network("MLP 784-256-128-10, Adam", adam),
    ]
}

impl Case {
    fn measure(&self, turn: Duration, torches: &mut [Torch]) -> Result<()> {
        let mut trainer = self.trainer()?;
        let (features, targets) = self.rows();
        let batch = Batch { features: &features, targets: &targets, dropout_seed: [0; 32] };
        let steps = self.warm_up(&mut trainer, &batch, turn, torches)?;
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); torches.len()];
        for _ in 0..TURNS {
            ours.push(turn_of(&mut trainer, &batch, steps)?);
            for (torch, turns) in torches.iter_mut().zip(&mut theirs) {
                turns.push(torch.steps(self.name, steps, turn * LONGER)?);
            }
        }
        let median = print_line(self.name, steps, &mut ours, None);
        for (torch, turns) in torches.iter().zip(&mut theirs) {
            let name = format!("  PyTorch, set_num_threads({})", torch.threads());
            print_line(&name, steps, turns, Some(median));
        }
        Ok(())
    }

    /// Runs everything for one turn and returns the steps that the engine takes in one.
    fn warm_up(
        &self,
        trainer: &mut Trainer,
        batch: &Batch<'_>,
        turn: Duration,
        torches: &mut [Torch],
    ) -> Result<u64> {
        let (start, before) = (Instant::now(), trainer.steps());
        while start.elapsed() < turn {
            turn_of(trainer, batch, 10)?;
        }
        let steps = trainer.steps() - before;
        for torch in torches {
            torch.steps(self.name, steps, turn * LONGER)?;
        }
        Ok(steps)
    }

    fn trainer(&self) -> Result<Trainer> {
        let description: ModelDescription = serde_json::from_value(json!({
            "inputs": self.inputs, "init": "he", "layers": self.layers,
        }))?;
        let mut model = Model::new(&description)?;
        model.initialise(&|_| [1; 32]);
        let settings = TrainerSettings::new(
            serde_json::from_value(json!({ "kind": self.loss }))?,
            serde_json::from_value(self.optimizer.clone())?,
        );
        Ok(Trainer::new(model, settings)?)
    }

    /// Features without structure and every class in turn.
    fn rows(&self) -> (Vec<f32>, Vec<f32>) {
        let feature = |position: usize| (position as f32 * 12.9898).sin() * 1.4;
        let features = (0..ROWS * self.inputs).map(feature).collect();
        let targets = (0..ROWS).map(|row| (row * 7 % self.classes) as f32).collect();
        (features, targets)
    }
}

fn turn_of(trainer: &mut Trainer, batch: &Batch<'_>, steps: u64) -> Result<Cost> {
    let (cpu, start) = (cpu_time(), Instant::now());
    for _ in 0..steps {
        trainer.step(batch)?;
    }
    Ok(Cost::of(steps, cpu_time() - cpu, start.elapsed()))
}

/// Prints the median turn and returns its processor time; `base` is the engine's, for the ratio.
fn print_line(name: &str, steps: u64, turns: &mut [Cost], base: Option<Duration>) -> Duration {
    turns.sort_by_key(|turn| turn.cpu);
    let (fastest, median) = (turns[0], turns[turns.len() / 2]);
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let ratio = base.map_or_else(String::new, |base| {
        format!("{:.2}", median.cpu.as_secs_f64() / base.as_secs_f64())
    });
    println!(
        "{name:<38}{steps:>8}{:>13.4}{:>11.4}{:>14.4}{ratio:>9}",
        milliseconds(median.cpu),
        milliseconds(fastest.cpu),
        milliseconds(median.wall)
    );
    median.cpu
}

/// Processor time of this process, all threads.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("the clock counts up from zero")
}
