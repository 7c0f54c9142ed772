//! The demonstration's coordinator and nodes, and the experiment that they run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::{Digest, History};
use researcher::{Client, Definition, Occurrence, membership};
use serde_json::{Value, json};

use super::process::{self, Daemon, unwritable};
use crate::commands::connection::failure;
use crate::commands::experiment::view::View;
use crate::commands::joining;
use crate::commands::researcher::refused;
use crate::failure::Failure;
use crate::printer::Printer;

/// Running processes; dropping it ends them.
pub(super) struct Federation {
    coordinator: PathBuf,
    hospitals: Vec<PathBuf>,
    // Nodes end before the coordinator: fields are dropped in this order.
    _nodes: Vec<Daemon>,
    _coordinator: Daemon,
}

impl Federation {
    /// Starts a coordinator, then for each hospital a node with its share of the data.
    pub(super) fn start(
        folder: &Path,
        shares: &[(String, String)],
        printer: Printer,
    ) -> Result<Self, Failure> {
        let home = folder.join("coordinator");
        let home_text = home.to_string_lossy();
        process::run(&["coordinator", "init", "--dir", &home_text])?;
        let start = ["coordinator", "start", "--dir", &home_text, "--listen", "127.0.0.1:0"];
        let coordinator =
            Daemon::start("the coordinator", &start, &folder.join("coordinator.log"))?;
        let address = coordinator.ready.get("address").and_then(Value::as_str).unwrap_or_default();
        printer.event(
            &json!({"event": "coordinator-started", "address": address}),
            Some(format!("coordinator at {address}, which lets in whom it has invited")),
        );
        let mut nodes = Vec::new();
        let mut hospitals = Vec::new();
        for (name, table) in shares {
            let place = folder.join("hospitals").join(name);
            let token = token(&home, "node", name)?;
            nodes.push(start_node(&place, name, table, &token)?);
            hospitals.push(place);
            let patients = table.lines().count() - 1;
            let malignant = table.lines().filter(|line| line.starts_with("M,")).count();
            printer.event(
                &json!({"event": "node-started", "node": name, "patients": patients,
                    "malignant": malignant}),
                Some(format!("node {name:8} {patients:4} patients, {malignant:3} malignant")),
            );
        }
        Ok(Self { coordinator: home, hospitals, _nodes: nodes, _coordinator: coordinator })
    }

    /// Submits the experiment, approves the plan at each node, follows it to its end and fetches the model.
    pub(super) async fn run(
        &self,
        folder: &Path,
        rounds: u32,
        printer: Printer,
    ) -> Result<(History, Vec<String>), Failure> {
        let client = self.join(&folder.join("researcher")).await?;
        let definition =
            Definition::read(&folder.join("experiment.toml")).map_err(|error| failure(&error))?;
        let plan = definition.bundle().digest();
        self.await_nodes(&client).await?;
        let resolved = client.resolve(definition).await.map_err(|error| failure(&error))?;
        let id = client.submit(&resolved, None).await.map_err(|error| failure(&error))?;
        printer.event(
            &json!({"event": "submitted", "experiment_id": id, "plan": plan}),
            Some(format!("experiment {id}\nplan {plan}")),
        );
        let view = View::new(printer, rounds);
        let mut follower = client.follow(id, 0);
        let mut approved = false;
        while let Some(event) = follower.next().await.map_err(|error| failure(&error))? {
            view.show(&event);
            match &event.what {
                Occurrence::WaitingForApproval { unanswered, .. }
                    if !approved && unanswered.is_empty() =>
                {
                    self.approve(plan)?;
                    approved = true;
                    view.say("approved", "every owner approves the plan");
                }
                Occurrence::Failed { code, message } | Occurrence::Paused { code, message } => {
                    view.finish();
                    return Err(Failure::coded(*code, message));
                }
                _ => {}
            }
        }
        view.finish();
        let model = folder.join("model.safetensors");
        client.download(id, &model).await.map_err(|error| failure(&error))?;
        let history = client.history(id).await.map_err(|error| failure(&error))?;
        Ok((history, resolved.columns))
    }

    /// Lets a researcher join, and connects as them.
    async fn join(&self, keys: &Path) -> Result<Client, Failure> {
        let token = joining::token(&token(&self.coordinator, "researcher", RESEARCHER)?)?;
        membership::join(keys, &token).await.map_err(|error| refused(&error))?;
        let credentials = membership::open(keys).await.map_err(|error| refused(&error))?;
        let address = credentials.coordinator().to_owned();
        Client::connect(&address, credentials).await.map_err(|error| failure(&error))
    }

    /// Waits until every node has told the coordinator of its dataset.
    async fn await_nodes(&self, client: &Client) -> Result<(), Failure> {
        let deadline = Instant::now() + CONNECT;
        loop {
            let found = client.datasets(&[]).await.map_err(|error| failure(&error))?;
            let connected = found.iter().filter(|dataset| dataset.connected).count();
            if connected == self.hospitals.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure::failed(format!(
                    "{connected} of {} nodes are connected after {CONNECT:?}",
                    self.hospitals.len()
                ))
                .hint("the nodes' logs are beside their folders"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn approve(&self, plan: Digest) -> Result<(), Failure> {
        for home in &self.hospitals {
            let home = home.to_string_lossy();
            let note = ["--note", "approved by the demonstration"];
            let plan = plan.to_string();
            process::run(
                &[&["node", "plan", "approve", &plan, "--dir", &home][..], &note].concat(),
            )?;
        }
        Ok(())
    }
}

fn start_node(home: &Path, name: &str, table: &str, token: &str) -> Result<Daemon, Failure> {
    std::fs::create_dir_all(home).map_err(|error| unwritable(home, &error))?;
    let data = home.join("breast-cancer.csv");
    std::fs::write(&data, table).map_err(|error| unwritable(&data, &error))?;
    let folder = home.to_string_lossy();
    let data = data.to_string_lossy();
    process::run_with(&["node", "init", "--dir", &folder, "--join", "-"], token)?;
    let description = "Fine needle aspirates of breast masses (Wisconsin, diagnostic)";
    process::run(&[
        "node",
        "dataset",
        "add",
        "--dir",
        &folder,
        "--name",
        "breast-cancer",
        "--tag",
        "breast-cancer",
        "--description",
        description,
        &data,
    ])?;
    let log = home.with_extension("log");
    Daemon::start(&format!("node {name}"), &["node", "start", "--dir", &folder], &log)
}

/// Invites somebody; gives the token.
fn token(coordinator: &Path, role: &str, name: &str) -> Result<String, Failure> {
    let home = coordinator.to_string_lossy();
    let token = ["coordinator", "token", "--dir", &home, "--role", role, "--name", name];
    let made = process::run(&token)?;
    let token = made.get("token").and_then(Value::as_str);
    token.map(str::to_owned).ok_or_else(|| Failure::failed("the coordinator makes no token"))
}

/// The researcher's name.
const RESEARCHER: &str = "demo";

/// How long nodes may take to connect.
const CONNECT: Duration = Duration::from_secs(20);
