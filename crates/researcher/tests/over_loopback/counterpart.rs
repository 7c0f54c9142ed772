//! The other end of the line: it answers with what a test tells it to.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::wire::{refusal, v1};
use protocol::{Code, WIRE_VERSION};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use transport::server::{Settings, one_port};
use transport::{Address, Security, Server};
use v1::researcher_service_server::{ResearcherService, ResearcherServiceServer};

use crate::shelf::Shelf;

/// What the other end answers, and what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) wire_version: Option<u32>,
    pub(crate) datasets: Vec<v1::SiteDataset>,
    pub(crate) submitted: Vec<v1::SubmitExperimentRequest>,
    /// How many submissions break the line after they are taken.
    pub(crate) lost_answers: usize,
    /// What each call to watch gives, one list for a call, and whether it then breaks.
    pub(crate) watches: Vec<(Vec<v1::ExperimentEvent>, Ending)>,
    pub(crate) watched_after: Vec<u64>,
    pub(crate) shown: Option<v1::ShowExperimentResponse>,
    pub(crate) history_json: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Breaks,
    Ends,
}

pub(crate) struct Counterpart {
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) address: Address,
    _stop: oneshot::Sender<()>,
    _serving: JoinHandle<()>,
}

impl Counterpart {
    pub(crate) async fn open(script: Script) -> Self {
        let script = Arc::new(Mutex::new(script));
        let shelf = Shelf::new();
        let settings = Settings::default();
        let server =
            Server::bind("127.0.0.1:0".parse().unwrap(), Security::InsecureLoopback, settings)
                .await
                .unwrap();
        let address = server.address();
        let service = ResearcherServiceServer::new(Answers(Arc::clone(&script)));
        let routes = transport::artifact::routes(Arc::clone(&shelf) as _, Duration::from_secs(10));
        let router = one_port(tonic::service::Routes::new(service), routes);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(router, async {
            drop(stopped.await);
        }));
        Self { script, shelf, address, _stop: stop, _serving: serving }
    }

    pub(crate) async fn client(&self) -> Result<researcher::Client, researcher::Error> {
        let name = "ada".parse().unwrap();
        researcher::Client::connect(&self.address.to_string(), researcher::Caller::Researcher(name))
            .await
    }
}

struct Answers(Arc<Mutex<Script>>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ResearcherService for Answers {
    type WatchExperimentStream =
        Pin<Box<dyn Stream<Item = Result<v1::ExperimentEvent, Status>> + Send>>;

    async fn search_datasets(
        &self,
        request: Request<v1::SearchDatasetsRequest>,
    ) -> Answer<v1::SearchDatasetsResponse> {
        assert_eq!(request.get_ref().wire_version, WIRE_VERSION);
        let datasets = self.0.lock().unwrap().datasets.clone();
        Ok(Response::new(v1::SearchDatasetsResponse { datasets }))
    }

    async fn submit_experiment(
        &self,
        request: Request<v1::SubmitExperimentRequest>,
    ) -> Answer<v1::SubmitExperimentResponse> {
        let mut script = self.0.lock().unwrap();
        let request = request.into_inner();
        let experiment_id = request.experiment_id.clone();
        script.submitted.push(request);
        if script.lost_answers > 0 {
            script.lost_answers -= 1;
            return Err(Status::unavailable("the line broke"));
        }
        Ok(Response::new(v1::SubmitExperimentResponse { experiment_id }))
    }

    async fn list_experiments(
        &self,
        _request: Request<v1::ListExperimentsRequest>,
    ) -> Answer<v1::ListExperimentsResponse> {
        let shown = self.0.lock().unwrap().shown.clone();
        let experiments = shown.and_then(|shown| shown.summary).into_iter().collect();
        Ok(Response::new(v1::ListExperimentsResponse { experiments }))
    }

    async fn show_experiment(
        &self,
        _request: Request<v1::ShowExperimentRequest>,
    ) -> Answer<v1::ShowExperimentResponse> {
        let shown = self.0.lock().unwrap().shown.clone();
        shown.map(Response::new).ok_or_else(|| refusal::status(Code::ExperimentUnknown))
    }

    async fn watch_experiment(
        &self,
        request: Request<v1::WatchExperimentRequest>,
    ) -> Answer<Self::WatchExperimentStream> {
        let mut script = self.0.lock().unwrap();
        script.watched_after.push(request.get_ref().after);
        if script.watches.is_empty() {
            return Err(refusal::status(Code::ExperimentUnknown));
        }
        let (events, ending) = script.watches.remove(0);
        let mut told: Vec<Result<_, Status>> = events.into_iter().map(Ok).collect();
        if ending == Ending::Breaks {
            told.push(Err(Status::unavailable("the line broke")));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(told))))
    }

    async fn experiment_history(
        &self,
        _request: Request<v1::ExperimentHistoryRequest>,
    ) -> Answer<v1::ExperimentHistoryResponse> {
        let history_json = self.0.lock().unwrap().history_json.clone();
        Ok(Response::new(v1::ExperimentHistoryResponse { history_json }))
    }

    async fn cancel_experiment(
        &self,
        _request: Request<v1::CancelExperimentRequest>,
    ) -> Answer<v1::CancelExperimentResponse> {
        Ok(Response::new(v1::CancelExperimentResponse {}))
    }

    async fn resume_experiment(
        &self,
        _request: Request<v1::ResumeExperimentRequest>,
    ) -> Answer<v1::ResumeExperimentResponse> {
        Err(refusal::status(Code::ExperimentState))
    }

    async fn list_nodes(
        &self,
        _request: Request<v1::ListNodesRequest>,
    ) -> Answer<v1::ListNodesResponse> {
        let datasets = self.0.lock().unwrap().datasets.clone();
        let nodes = datasets.into_iter().map(|found| v1::NodeSummary {
            node_id: found.node_id,
            connected: found.connected,
            datasets: found.dataset.into_iter().collect(),
            ..v1::NodeSummary::default()
        });
        Ok(Response::new(v1::ListNodesResponse { nodes: nodes.collect() }))
    }

    async fn request_approval(
        &self,
        _: Request<v1::RequestApprovalRequest>,
    ) -> Result<Response<v1::ApprovalsResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn approvals(
        &self,
        _: Request<v1::ApprovalsRequest>,
    ) -> Result<Response<v1::ApprovalsResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn status(&self, _request: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        let wire_version = self.0.lock().unwrap().wire_version.unwrap_or(WIRE_VERSION);
        Ok(Response::new(v1::StatusResponse { wire_version, ..v1::StatusResponse::default() }))
    }
}
