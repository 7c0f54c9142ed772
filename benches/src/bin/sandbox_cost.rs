//! What the sandbox costs: steady training inside and outside by turns, and how soon a warm job is confined.
//!
//! `WARDROUND_TEST_PYTHON=… cargo run --release -p benches --bin sandbox_cost [-- TURNS]`, after
//! `cargo build --release -p wardround`; the interpreter needs torch and scikit-learn. Five turns by default, each of
//! two processes: one outside, one inside. What counts is the processor time of a part, which neighbours disturb least;
//! the values that both compute must be the same.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::machine;
use benches::spread::Spread;
use sandbox::{ForkServer, JobOptions, Launcher, Outcome, ServerOptions};
use serde::Deserialize;

fn main() -> anyhow::Result<()> {
    machine::print_heading();
    let python = std::env::var_os("WARDROUND_TEST_PYTHON").map(PathBuf::from);
    let python = python.context("WARDROUND_TEST_PYTHON names no interpreter")?;
    let turns = std::env::args().nth(1).map_or(Ok(5), |turns| turns.parse())?;
    let launcher = launcher()?;
    for kind in ["torch", "sklearn"] {
        compare(&launcher, &python, kind, turns)?;
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python").canonicalize()?;
    readiness(&launcher, &python, &package)?;
    println!("load average at the end: {}", machine::load());
    Ok(())
}

/// The `wardround` that lies beside this program.
fn launcher() -> anyhow::Result<Launcher> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("wardround");
    ensure!(program.is_file(), "{} is not built", program.display());
    Ok(Launcher::new(program).argument("sandbox").argument("launch"))
}

#[derive(Debug, Deserialize)]
struct Measured {
    wall: Vec<f64>,
    processor: Vec<f64>,
    value: f64,
}

fn compare(launcher: &Launcher, python: &Path, kind: &str, turns: u32) -> anyhow::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("steady_training.py");
    let (mut outside, mut inside): (Vec<Measured>, Vec<Measured>) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        outside.push(train_outside(python, &script, kind)?);
        inside.push(train_inside(launcher, python, &script, kind)?);
    }
    let value = outside[0].value.to_bits();
    let all = outside.iter().chain(&inside);
    ensure!(all.clone().all(|one| one.value.to_bits() == value), "{kind}: other numbers inside");
    let spread = |from: &[Measured], what: fn(&Measured) -> &Vec<f64>| {
        Spread::new(from.iter().flat_map(|one| what(one).iter().copied()))
    };
    let processor = [&outside, &inside].map(|from| spread(from, |one| &one.processor));
    let wall = [&outside, &inside].map(|from| spread(from, |one| &one.wall));
    println!("\n{kind}, one thread, {} parts outside and inside by turns", turns * PARTS);
    for (name, [outside, inside]) in [("processor time", processor), ("wall time", wall)] {
        println!("  {name} of a part, outside: {outside}");
        println!("  {name} of a part, inside:  {inside}");
        let slower = (inside.median() / outside.median() - 1.0) * 100.0;
        println!("  inside is {slower:+.1} % (target <= 2 %)");
    }
    println!("  both compute the same bits");
    Ok(())
}

fn train_outside(python: &Path, script: &Path, kind: &str) -> anyhow::Result<Measured> {
    let mut command = Command::new(python);
    command.args(["-I", "-B"]).arg(script).args([kind, &PARTS.to_string(), "1"]);
    for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(variable, "1");
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn train_inside(
    launcher: &Launcher,
    python: &Path,
    script: &Path,
    kind: &str,
) -> anyhow::Result<Measured> {
    let mut command = sandbox::Command::new(python);
    command.read = sandbox::interpreter_paths(python)?;
    command = command.reading(script).argument("-I").argument("-B");
    command.arguments.push(script.to_string_lossy().into_owned());
    command.arguments.extend([kind.to_owned(), PARTS.to_string(), "1".to_owned()]);
    let end = sandbox::run(launcher, &command)?;
    let printed = end.output.stderr.text();
    ensure!(end.outcome == Outcome::Ok, "{kind} ended with {}: {printed}", end.outcome);
    Ok(serde_json::from_str(&end.output.stdout.text())?)
}

/// From the request for a job to a process that has every layer on.
fn readiness(launcher: &Launcher, python: &Path, package: &Path) -> anyhow::Result<()> {
    let options = ServerOptions {
        warm_up: vec!["torch".to_owned(), "sklearn".to_owned()],
        ..ServerOptions::new(python, package)
    };
    let begun = Instant::now();
    let mut server = ForkServer::start(launcher, &options)?;
    println!(
        "\na warm interpreter with torch and scikit-learn: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let mut times = Vec::new();
    for _ in 0..JOBS {
        let begun = Instant::now();
        let job = server.fork(JobOptions::default())?;
        times.push(begun.elapsed());
        job.end(Outcome::Ok);
        job.wait(Duration::from_secs(30))?;
    }
    println!("a job is confined after: {} (target < 100 ms)", Spread::of(times));
    println!("level {}", server.level());
    Ok(())
}

/// Parts that one process measures.
const PARTS: u32 = 12;
/// Jobs whose start is timed.
const JOBS: u32 = 30;
