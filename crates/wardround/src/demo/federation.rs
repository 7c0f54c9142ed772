//! The demonstration's coordinator and nodes, and the experiment that they run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::{Digest, History};
use researcher::{Client, Definition, Occurrence};
use serde_json::{Value, json};

use super::process::{self, Daemon, unwritable};
use crate::commands::connection::failure;
use crate::commands::experiment::view::View;
use crate::failure::Failure;
use crate::printer::Printer;

/// Running processes; dropping it ends them.
pub(super) struct Federation {
    url: String,
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
        let start = [
            "coordinator",
            "start",
            "--dir",
            &home_text,
            "--listen",
            "127.0.0.1:0",
            "--insecure-loopback",
        ];
        let coordinator =
            Daemon::start("the coordinator", &start, &folder.join("coordinator.log"))?;
        let url = url(&coordinator.ready)?;
        printer.event(
            &json!({"event": "coordinator-started", "address": url}),
            Some(format!("coordinator at {url}")),
        );
        let mut nodes = Vec::new();
        let mut hospitals = Vec::new();
        for (name, table) in shares {
            let home = folder.join("hospitals").join(name);
            nodes.push(start_node(&home, name, table, &url)?);
            hospitals.push(home);
            let patients = table.lines().count() - 1;
            let malignant = table.lines().filter(|line| line.starts_with("M,")).count();
            printer.event(
                &json!({"event": "node-started", "node": name, "patients": patients,
                    "malignant": malignant}),
                Some(format!("node {name:8} {patients:4} patients, {malignant:3} malignant")),
            );
        }
        Ok(Self { url, hospitals, _nodes: nodes, _coordinator: coordinator })
    }

    /// Submits the experiment, approves the plan at each node, follows it to its end and fetches the model.
    pub(super) async fn run(
        &self,
        folder: &Path,
        rounds: u32,
        printer: Printer,
    ) -> Result<(History, Vec<String>), Failure> {
        let researcher = "demo".parse().expect("is a name");
        let client =
            Client::connect(&self.url, &researcher).await.map_err(|error| failure(&error))?;
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

fn start_node(home: &Path, name: &str, table: &str, url: &str) -> Result<Daemon, Failure> {
    std::fs::create_dir_all(home).map_err(|error| unwritable(home, &error))?;
    let data = home.join("breast-cancer.csv");
    std::fs::write(&data, table).map_err(|error| unwritable(&data, &error))?;
    let folder = home.to_string_lossy();
    let data = data.to_string_lossy();
    process::run(&["node", "init", "--dir", &folder, "--name", name, "--coordinator", url])?;
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

fn url(ready: &Value) -> Result<String, Failure> {
    let address = ready.get("address").and_then(Value::as_str);
    let address = address.ok_or_else(|| Failure::failed("the coordinator names no address"))?;
    Ok(format!("http://{}", address.trim_start_matches("http://")))
}

/// How long nodes may take to connect.
const CONNECT: Duration = Duration::from_secs(20);
