//! A coordinator and nodes as real processes, driven through the command line as their users do.

mod daemon;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

pub use self::daemon::{Daemon, Line};

/// A running federation in a temporary folder; dropping it ends its processes and deletes the folder.
#[derive(Debug)]
pub struct Federation {
    // Nodes end before the coordinator, and everything before its folder: fields are dropped in this order.
    /// The nodes.
    pub nodes: Vec<Daemon>,
    /// The coordinator.
    pub coordinator: Daemon,
    connecting: Vec<Duration>,
    url: String,
    program: PathBuf,
    folder: TempDir,
}

/// What a federation runs: the texts of an experiment and its plan.
#[derive(Debug, Clone, Copy)]
pub struct Study<'a> {
    /// `plan.toml`.
    pub plan: &'a str,
    /// `experiment.toml`, which names the plan `plan.toml` and selects the tag `bench`.
    pub experiment: &'a str,
    /// The first model.
    pub parameters: Option<&'a Path>,
}

impl Federation {
    /// Starts a coordinator and `count` nodes with the same table; each is connected when this returns.
    ///
    /// # Errors
    ///
    /// Where the program is not built or does not start.
    pub fn start(count: usize, table: &str) -> anyhow::Result<Self> {
        let program = program()?;
        let folder = match std::env::var_os("WARDROUND_BENCH_FOLDER") {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        let home = text(&folder.path().join("coordinator"));
        run(&program, &["coordinator", "init", "--dir", &home])?;
        let start = [
            "coordinator",
            "start",
            "--dir",
            &home,
            "--insecure-loopback",
            "--listen",
            "127.0.0.1:0",
        ];
        let mut coordinator = Daemon::start("coordinator", &mut command(&program, &start))?;
        let listening = coordinator.await_event("listening")?;
        let address = listening.value["address"].as_str().context("no address")?;
        let url = format!("http://{}", address.trim_start_matches("http://"));
        let (nodes, connecting) = (Vec::new(), Vec::new());
        let mut federation = Self { nodes, coordinator, connecting, url, program, folder };
        for number in 0..count {
            federation.add_node(&format!("node-{number}"), table)?;
        }
        Ok(federation)
    }

    /// Prepares and starts one more node.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn add_node(&mut self, name: &str, table: &str) -> anyhow::Result<()> {
        let home = self.folder.path().join(name);
        let dir = text(&home);
        run(
            &self.program,
            &[
                "node",
                "init",
                "--insecure-loopback",
                "--dir",
                &dir,
                "--name",
                name,
                "--coordinator",
                &self.url,
            ],
        )?;
        let data = home.join("table.csv");
        std::fs::write(&data, table)?;
        let data = text(&data);
        let add = ["node", "dataset", "add", "--dir", &dir, "--name", "bench", "--tag", "bench"];
        run(&self.program, &[&add[..], &[&data]].concat())?;
        let start = ["node", "start", "--dir", &dir];
        let mut start = command(&self.program, &start);
        start.env("WARDROUND_NODE_MINIMUM_SAMPLES", "1");
        let begun = Instant::now();
        let mut node = Daemon::start(name, &mut start)?;
        let connected = node.await_event("connected")?;
        self.connecting.push(connected.at - begun);
        self.nodes.push(node);
        Ok(())
    }

    /// Submits a study, approves its plan at every node, and follows it.
    ///
    /// # Errors
    ///
    /// Where a command is refused.
    pub fn submit(&self, study: &Study<'_>) -> anyhow::Result<Daemon> {
        let folder = self.folder.path().join("study");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("plan.toml"), study.plan)?;
        let file = folder.join("experiment.toml");
        std::fs::write(&file, study.experiment)?;
        let file = text(&file);
        let parameters = study.parameters.map(text);
        let mut submit = vec!["experiment", "submit", &file];
        if let Some(parameters) = &parameters {
            submit.extend(["--parameters", parameters]);
        }
        let submitted = self.research(&submit)?;
        let id = submitted["experiment_id"].as_str().context("no experiment")?;
        let plan = submitted["plan"].as_str().context("no plan")?;
        let watch = ["experiment", "watch", id];
        let follower = Daemon::start("watch", &mut self.researching(&watch))?;
        self.approve(plan)?;
        Ok(follower)
    }

    fn approve(&self, plan: &str) -> anyhow::Result<()> {
        for node in &self.nodes {
            let dir = text(&self.folder.path().join(node.name()));
            let deadline = Instant::now() + PATIENCE;
            // A node lists a plan once it was asked for.
            while let Err(error) =
                run(&self.program, &["node", "plan", "approve", plan, "--dir", &dir])
            {
                ensure!(Instant::now() < deadline, "{error}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn research(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        finish(&mut self.researching(arguments))
    }

    fn researching(&self, arguments: &[&str]) -> Command {
        let mut command = command(&self.program, arguments);
        command.args(["--coordinator", &self.url, "--researcher", "bench"]);
        command
    }

    /// How long each phase of the newest round took at the first node, as its reply says.
    ///
    /// # Errors
    ///
    /// Where the node has no round.
    pub fn last_phases(&self) -> anyhow::Result<Vec<String>> {
        let dir = text(&self.folder.path().join(self.nodes[0].name()));
        let list = ["node", "round", "list", "--limit", "1", "--dir", &dir];
        let rounds = run(&self.program, &list)?;
        let id = rounds[0]["round_id"].as_str().context("no round")?;
        let shown = run(&self.program, &["node", "round", "show", id, "--dir", &dir])?;
        let phases = shown["reply"]["timing"]["phases"].as_array().context("no phases")?;
        let milliseconds = |seconds: &Value| seconds.as_f64().unwrap_or(0.0) * 1e3;
        let phases = phases.iter().map(|one| {
            format!("{} {:.0} ms", one[0].as_str().unwrap_or("?"), milliseconds(&one[1]))
        });
        Ok(phases.collect())
    }

    /// How long each node took from its start until it was connected.
    pub fn connecting(&self) -> Vec<Duration> {
        self.connecting.clone()
    }

    /// Where a benchmark may put files on the same disk.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Starts a coordinator in a new folder and gives the time until it listens.
///
/// # Errors
///
/// As [`Federation::start`].
pub fn time_coordinator() -> anyhow::Result<Duration> {
    let (program, folder) = (program()?, tempfile::tempdir()?);
    let home = text(folder.path());
    run(&program, &["coordinator", "init", "--dir", &home])?;
    let start =
        ["coordinator", "start", "--dir", &home, "--insecure-loopback", "--listen", "127.0.0.1:0"];
    let begun = Instant::now();
    let mut coordinator = Daemon::start("coordinator", &mut command(&program, &start))?;
    Ok(coordinator.await_event("listening")?.at - begun)
}

/// The program of the same build as this benchmark.
///
/// # Errors
///
/// Where it is missing.
pub fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("wardround");
    ensure!(path.exists(), "build the program first: cargo build --release -p wardround");
    Ok(path)
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["--json", "--exit-with", &std::process::id().to_string()]).args(arguments);
    command.stdin(Stdio::null());
    command
}

fn run(program: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    finish(&mut command(program, arguments))
}

fn finish(command: &mut Command) -> anyhow::Result<Value> {
    let output = command.output()?;
    if !output.status.success() {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        bail!("`{}`: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    let output = String::from_utf8_lossy(&output.stdout);
    Ok(serde_json::from_str(output.trim()).unwrap_or(Value::Null))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// How long anything may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(60);
