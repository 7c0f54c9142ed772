//! The researchers' side of the door.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use protocol::wire::v1::researcher_service_server::ResearcherService;
use protocol::wire::{MAXIMUM_MESSAGE, parse, v1};
use protocol::{Code, ExperimentId, NodeId, ResearcherId};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};
use transport::Caller;

use crate::approval_desk;
use crate::director::SOFTWARE;
use crate::door::{internal, malformed, status, status_with};
use crate::listing;
use crate::message::{Command, Message};
use crate::possession;
use crate::shared::Shared;
use crate::submission::Submission;
use crate::watching;
use crate::{history, record};

/// Answers researchers.
#[derive(Debug)]
pub(crate) struct Researchers {
    shared: Arc<Shared>,
}

impl Researchers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn read<T, R>(&self, read: R) -> Result<T, Status>
    where
        T: Send + 'static,
        R: FnOnce(&store::Transaction<'_>) -> Result<T, record::Error> + Send + 'static,
    {
        self.shared.database.read(read).await.map_err(|error| internal(&error))
    }

    /// The experiment that a caller names, if it is the caller's own.
    async fn own(&self, caller: ResearcherId, text: &str) -> Result<ExperimentId, Status> {
        let id: ExperimentId = parse("experiment_id", text)
            .map_err(|error| malformed(Code::RequestInvalid, &error))?;
        let owner = self.read(move |transaction| listing::owner(transaction, id)).await?;
        match owner {
            Some(owner) if owner == caller => Ok(id),
            // Somebody else's experiment is as unknown as one that is not.
            Some(_) | None => Err(status(Code::ExperimentUnknown)),
        }
    }

    async fn command(
        &self,
        caller: ResearcherId,
        text: &str,
        command: Command,
    ) -> Result<(), Status> {
        let experiment_id = self.own(caller, text).await?;
        let (answer, answered) = oneshot::channel();
        let message = Message::Command { experiment_id, command, answer };
        self.shared.ask(message, answered).await.map_err(status)
    }

    /// Refuses a submission whose files its researcher neither brought nor owns, or that have another length than it
    /// says: to name a file must not make it one's own.
    async fn check_files(
        &self,
        researcher: ResearcherId,
        submission: &Submission,
    ) -> Result<(), Status> {
        let references = [&submission.plan, &submission.specification.parameters];
        for reference in references {
            if self.shared.artifacts.size(&reference.digest) != Some(reference.size) {
                return Err(status(Code::ArtifactUnknown));
            }
        }
        let digests = references.map(|reference| reference.digest);
        let caller = Caller::Researcher(researcher);
        let has_all = self.read(move |transaction| {
            for digest in &digests {
                if !possession::has(transaction, &caller, digest)? {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        if has_all.await? { Ok(()) } else { Err(status(Code::ArtifactUnknown)) }
    }

    /// Whether the same submission is known already; another one under its id is refused.
    async fn is_known(&self, submission: &Submission) -> Result<bool, Status> {
        let id = submission.experiment_id;
        let stored = self.read(move |transaction| listing::submission(transaction, id)).await?;
        match stored {
            None => Ok(false),
            Some(stored) if stored == *submission => Ok(true),
            Some(_) => {
                Err(status_with(Code::ExperimentInvalid, "another experiment has this identifier"))
            }
        }
    }
}

/// What whoever watches is sent.
type Events = Pin<Box<dyn Stream<Item = Result<v1::ExperimentEvent, Status>> + Send>>;

#[tonic::async_trait]
impl ResearcherService for Researchers {
    type WatchExperimentStream = Events;

    async fn search_datasets(
        &self,
        request: Request<v1::SearchDatasetsRequest>,
    ) -> Result<Response<v1::SearchDatasetsResponse>, Status> {
        caller(&request)?;
        let search = request.into_inner();
        check_version(search.wire_version)?;
        let nodes = search.nodes.iter().map(|node| parse("nodes", node));
        let nodes: Vec<NodeId> = nodes
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(Code::RequestInvalid, &error))?;
        let rows = self.read(listing::nodes).await?;
        let matching = rows.into_iter().filter(|row| nodes.is_empty() || nodes.contains(&row.node));
        let datasets = matching.flat_map(|row| {
            let connected = self.shared.registry.is_connected(&row.node);
            let wanted = row.datasets.into_iter();
            let wanted: Vec<_> = wanted
                .filter(|dataset| search.tags.iter().all(|tag| dataset.tags.contains(tag)))
                .collect();
            wanted.into_iter().map(move |dataset| v1::SiteDataset {
                node_id: row.node.to_string(),
                connected,
                dataset: Some(dataset.into()),
            })
        });
        Ok(Response::new(v1::SearchDatasetsResponse { datasets: datasets.collect() }))
    }

    async fn submit_experiment(
        &self,
        request: Request<v1::SubmitExperimentRequest>,
    ) -> Result<Response<v1::SubmitExperimentResponse>, Status> {
        let researcher = caller(&request)?;
        let wire = request.into_inner();
        check_version(wire.wire_version)?;
        let submission = Submission::parse(wire, researcher.clone(), &self.shared.config)
            .map_err(|error| malformed(Code::ExperimentInvalid, &error))?;
        let experiment_id = submission.experiment_id.to_string();
        if !self.is_known(&submission).await? {
            self.check_files(researcher, &submission).await?;
            let (answer, answered) = oneshot::channel();
            let message = Message::Submit { submission: Box::new(submission), answer };
            self.shared.ask(message, answered).await.map_err(status)?;
        }
        Ok(Response::new(v1::SubmitExperimentResponse { experiment_id }))
    }

    async fn list_experiments(
        &self,
        request: Request<v1::ListExperimentsRequest>,
    ) -> Result<Response<v1::ListExperimentsResponse>, Status> {
        let researcher = caller(&request)?;
        let list = move |transaction: &store::Transaction<'_>| {
            listing::experiments(transaction, &researcher)
        };
        let experiments = self.read(list).await?;
        Ok(Response::new(v1::ListExperimentsResponse { experiments }))
    }

    async fn show_experiment(
        &self,
        request: Request<v1::ShowExperimentRequest>,
    ) -> Result<Response<v1::ShowExperimentResponse>, Status> {
        let researcher = caller(&request)?;
        let id = self.own(researcher, &request.into_inner().experiment_id).await?;
        let shown = self.read(move |transaction| listing::show(transaction, id)).await?;
        let mut shown = shown.ok_or_else(|| status(Code::ExperimentUnknown))?;
        if let Some(live) = self.shared.board.get(id) {
            shown.executions = listing::executions(&live, shown.executions, &self.shared.registry);
        }
        for execution in &mut shown.executions {
            let node: Option<NodeId> = execution.node_id.parse().ok();
            execution.connected = node.is_some_and(|node| self.shared.registry.is_connected(&node));
        }
        Ok(Response::new(shown))
    }

    async fn watch_experiment(
        &self,
        request: Request<v1::WatchExperimentRequest>,
    ) -> Result<Response<Events>, Status> {
        let researcher = caller(&request)?;
        let v1::WatchExperimentRequest { experiment_id, after } = request.into_inner();
        let id = self.own(researcher, &experiment_id).await?;
        Ok(Response::new(Box::pin(watching::stream(Arc::clone(&self.shared), id, after))))
    }

    async fn experiment_history(
        &self,
        request: Request<v1::ExperimentHistoryRequest>,
    ) -> Result<Response<v1::ExperimentHistoryResponse>, Status> {
        let researcher = caller(&request)?;
        let id = self.own(researcher, &request.into_inner().experiment_id).await?;
        let history = self.read(move |transaction| history::load(transaction, id)).await?;
        let history = history.ok_or_else(|| status(Code::ExperimentUnknown))?;
        let history_json = record::to_json(&history);
        if history_json.len() > MAXIMUM_MESSAGE {
            tracing::warn!(experiment = %id, bytes = history_json.len(), "a history is very long");
        }
        Ok(Response::new(v1::ExperimentHistoryResponse { history_json }))
    }

    async fn cancel_experiment(
        &self,
        request: Request<v1::CancelExperimentRequest>,
    ) -> Result<Response<v1::CancelExperimentResponse>, Status> {
        let researcher = caller(&request)?;
        self.command(researcher, &request.into_inner().experiment_id, Command::Cancel).await?;
        Ok(Response::new(v1::CancelExperimentResponse {}))
    }

    async fn resume_experiment(
        &self,
        request: Request<v1::ResumeExperimentRequest>,
    ) -> Result<Response<v1::ResumeExperimentResponse>, Status> {
        let researcher = caller(&request)?;
        self.command(researcher, &request.into_inner().experiment_id, Command::Resume).await?;
        Ok(Response::new(v1::ResumeExperimentResponse {}))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        caller(&request)?;
        let rows = self.read(listing::nodes).await?;
        let nodes = rows.into_iter().map(|row| {
            let connected = self.shared.registry.is_connected(&row.node);
            v1::NodeSummary { connected, ..row.summary() }
        });
        Ok(Response::new(v1::ListNodesResponse { nodes: nodes.collect() }))
    }

    async fn request_approval(
        &self,
        request: Request<v1::RequestApprovalRequest>,
    ) -> Result<Response<v1::ApprovalsResponse>, Status> {
        let researcher = caller(&request)?;
        let wire = request.into_inner();
        check_version(wire.wire_version)?;
        let approvals = approval_desk::request(&self.shared, researcher, wire).await?;
        Ok(Response::new(v1::ApprovalsResponse { approvals }))
    }

    async fn approvals(
        &self,
        request: Request<v1::ApprovalsRequest>,
    ) -> Result<Response<v1::ApprovalsResponse>, Status> {
        let researcher = caller(&request)?;
        let approvals =
            approval_desk::list(&self.shared, researcher, &request.into_inner()).await?;
        Ok(Response::new(v1::ApprovalsResponse { approvals }))
    }

    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        // Nodes may ask, too: `wardround node doctor` does.
        if request.extensions().get::<Caller>().is_none() {
            return Err(status_with(Code::PolicyDenied, "only who says a name may ask this"));
        }
        Ok(Response::new(v1::StatusResponse {
            wire_version: protocol::WIRE_VERSION,
            software: SOFTWARE.to_owned(),
            started_at: self.shared.started_at.milliseconds(),
            connected_nodes: count(self.shared.registry.count()),
            open_experiments: count(self.shared.board.count()),
            now: self.shared.clock.now().milliseconds(),
        }))
    }
}

fn caller<T>(request: &Request<T>) -> Result<ResearcherId, Status> {
    match request.extensions().get::<Caller>() {
        Some(Caller::Researcher(researcher)) => Ok(researcher.clone()),
        Some(Caller::Node(_)) | None => {
            Err(status_with(Code::PolicyDenied, "only a researcher may ask this"))
        }
    }
}

fn check_version(theirs: u32) -> Result<(), Status> {
    transport::wire_version::check(theirs)
        .map_err(|mismatch| status_with(Code::WireVersion, &mismatch.to_string()))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
