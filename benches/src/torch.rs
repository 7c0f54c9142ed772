//! PyTorch in a process of its own, asked for training steps in turn with the engine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A Python that has imported PyTorch and was told how many threads to use.
#[derive(Debug)]
pub struct Torch {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
    threads: u64,
}

/// What one step costs, on average over many.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor time of the whole process, user and system.
    pub cpu: Duration,
    /// Wall time.
    pub wall: Duration,
}

impl Cost {
    /// Divides among steps what all of them took.
    pub fn of(steps: u64, cpu: Duration, wall: Duration) -> Self {
        let each = |time: Duration| time.div_f64(steps as f64);
        Self { cpu: each(cpu), wall: each(wall) }
    }
}

impl Torch {
    /// The Python to ask: the one named by `WARDROUND_TORCH_PYTHON`, else `python3`.
    pub fn python() -> PathBuf {
        std::env::var_os(VARIABLE).unwrap_or_else(|| "python3".into()).into()
    }

    /// Starts Python with `torch.set_num_threads(threads)`.
    ///
    /// # Errors
    ///
    /// If there is no such Python, or it cannot import PyTorch.
    pub fn start(python: &Path, threads: usize) -> Result<Self> {
        let mut process = Command::new(python)
            .args(["-c", SCRIPT, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", python.display()))?;
        let questions = process.stdin.take().context("its input was piped")?;
        let mut answers = BufReader::new(process.stdout.take().context("its output was piped")?);
        let first = answer(&mut answers)?;
        let Some(version) = first["torch"].as_str().map(str::to_owned) else {
            let _ = process.wait();
            bail!("{} has no PyTorch ({})", python.display(), first["missing"]);
        };
        let threads = first["threads"].as_u64().context("PyTorch says its threads")?;
        Ok(Self { process, questions, answers, version, threads })
    }

    /// PyTorch's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What `torch.get_num_threads()` says after it was set.
    pub fn threads(&self) -> u64 {
        self.threads
    }

    /// Takes so many steps of the model of this name, and fewer once `limit` is over: with more threads
    /// than free cores PyTorch may need hundreds of times as long.
    ///
    /// # Errors
    ///
    /// If the script does not know the model, or has ended.
    pub fn steps(&mut self, name: &str, steps: u64, limit: Duration) -> Result<Cost> {
        writeln!(self.questions, "{name}\t{steps}\t{}", limit.as_secs_f64())?;
        let answer = answer(&mut self.answers)?;
        let seconds = |key| {
            let seconds =
                answer[key].as_f64().with_context(|| format!("PyTorch says its {key}"))?;
            anyhow::Ok(Duration::from_secs_f64(seconds))
        };
        let taken = answer["steps"].as_u64().filter(|taken| *taken > 0);
        let taken = taken.context("PyTorch says its steps")?;
        Ok(Cost::of(taken, seconds("cpu")?, seconds("wall")?))
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        // It holds nothing that would need an orderly end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn answer(answers: &mut BufReader<ChildStdout>) -> Result<Value> {
    let mut line = String::new();
    if answers.read_line(&mut line)? == 0 {
        bail!("the Python process has ended");
    }
    serde_json::from_str(&line).with_context(|| format!("the answer {line:?}"))
}

const VARIABLE: &str = "WARDROUND_TORCH_PYTHON";
const SCRIPT: &str = include_str!("../torch_training_step.py");
