//! What one training step of the native engine costs.
//!
//! `cargo run --release -p benches --bin training_step [SECONDS [NAME]]` prints for each model the CPU time (of the whole
//! process) and the wall time of a step: forward, loss, backward and optimizer, in single precision, on one random
//! batch of 32 rows that stays the same. Each model runs for SECONDS (2 unless stated otherwise) in ten turns after a
//! warm-up; the median turn is printed, and the fastest. `python benches/torch_training_step.py` measures the same
//! models in PyTorch, one thread. With NAME only the models whose line contains it are measured.

#![expect(clippy::print_stdout, reason = "the report is the program's purpose")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use engine::{Batch, Model, ModelDescription, Trainer, TrainerSettings};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let seconds = match std::env::args().nth(1) {
        Some(seconds) => seconds.parse().context("the number of seconds is a number")?,
        None => 2.0,
    };
    let name = std::env::args().nth(2).unwrap_or_default();
    println!(
        "{:<34}{:>10}{:>14}{:>14}{:>14}",
        "model, optimizer", "steps", "CPU ms/step", "fastest", "wall ms/step"
    );
    for case in cases().iter().filter(|case| case.name.contains(&name)) {
        case.measure(Duration::from_secs_f64(seconds / TURNS as f64))?;
    }
    Ok(())
}

const TURNS: usize = 10;
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
    vec![
        logistic("logistic 30-1, SGD", json!({ "kind": "sgd" })),
        logistic("logistic 30-1, Adam", json!({ "kind": "adam" })),
        network("MLP 784-256-128-10, SGD", json!({ "kind": "sgd" })),
        network("MLP 784-256-128-10, Adam", json!({ "kind": "adam" })),
    ]
}

impl Case {
    fn measure(&self, turn: Duration) -> Result<()> {
        let mut trainer = self.trainer()?;
        let (features, targets) = self.rows();
        let batch = Batch { features: &features, targets: &targets, dropout_seed: [0; 32] };
        self.turn(&mut trainer, &batch, turn)?;
        let mut turns = (0..TURNS)
            .map(|_| self.turn(&mut trainer, &batch, turn))
            .collect::<Result<Vec<_>>>()?;
        turns.sort_by(|one, other| one.cpu.total_cmp(&other.cpu));
        let (median, fastest) = (&turns[TURNS / 2], &turns[0]);
        println!(
            "{:<34}{:>10}{:>14.4}{:>14.4}{:>14.4}",
            self.name,
            trainer.steps(),
            median.cpu,
            fastest.cpu,
            median.wall
        );
        Ok(())
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

    fn turn(&self, trainer: &mut Trainer, batch: &Batch<'_>, length: Duration) -> Result<Turn> {
        let (before, cpu, start) = (trainer.steps(), cpu_time(), Instant::now());
        while start.elapsed() < length {
            for _ in 0..10 {
                trainer.step(batch)?;
            }
        }
        let (wall, cpu) = (start.elapsed(), cpu_time() - cpu);
        let steps = (trainer.steps() - before) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e3 / steps;
        Ok(Turn { cpu: each(cpu), wall: each(wall) })
    }
}

/// Milliseconds of a step, over one turn.
struct Turn {
    cpu: f64,
    wall: f64,
}

/// CPU time of this process, all threads.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("the clock counts up from zero")
}
