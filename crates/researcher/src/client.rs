//! A researcher's line to a coordinator.

use std::path::Path;

use protocol::wire::{self, v1};
use protocol::{ArtifactReference, Digest, ExperimentId, History, WIRE_VERSION};
use training_plan::Bundle;
use training_plan::experiment::Selection;
use training_plan::plan::Site;
use training_plan::statistics::Table;
use transport::{Address, ArtifactClient, Identity, Line};
use v1::researcher_service_client::ResearcherServiceClient;

use crate::follower::Follower;
use crate::overview::{
    ApprovalOverview, CoordinatorStatus, ExperimentDetails, ExperimentOverview, FoundDataset,
    NodeOverview,
};
use crate::submission::Submission;
use crate::{Definition, Error, Resolved};

/// A connection to a coordinator; clones share it.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
///
/// use researcher::{Client, Definition};
///
/// # async fn example() -> Result<(), researcher::Error> {
/// let credentials = researcher::membership::open(Path::new("identity")).await.expect("has joined");
/// let client = Client::connect("https://ward.example:7400", credentials).await?;
/// let definition = Definition::read(Path::new("experiment.toml"))?;
/// let resolved = client.resolve(definition).await?;
/// let id = client.submit(&resolved, None).await?;
/// let mut follower = client.follow(id, 0);
/// while let Some(event) = follower.next().await? {
///     println!("{}", event.name);
/// }
/// client.download(id, Path::new("model.safetensors")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    service: ResearcherServiceClient<Line>,
    artifacts: ArtifactClient,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Client")
    }
}

impl Client {
    /// Checks that a text is a coordinator's address.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Address`] with the form that an address has.
    pub fn check_address(url: &str) -> Result<(), Error> {
        let _: Address = url.parse()?;
        Ok(())
    }

    /// Connects to the coordinator at a URL and checks that both sides speak the same messages.
    ///
    /// With credentials the connection is encrypted; a bare [`Caller`](transport::Caller) is for plain loopback.
    ///
    /// # Errors
    ///
    /// Nobody answers there, or what answers speaks another version.
    pub async fn connect(url: &str, identity: impl Into<Identity>) -> Result<Self, Error> {
        let (address, identity): (Address, Identity) = (url.parse()?, identity.into());
        let line =
            transport::dial(&address, &identity, transport::dial::Settings::default()).await?;
        let settings = transport::artifact::client::Settings::default();
        let client = Self {
            service: ResearcherServiceClient::new(line).max_decoding_message_size(LARGEST_ANSWER),
            artifacts: ArtifactClient::new(address, identity, settings),
        };
        transport::wire_version::check(client.status().await?.wire_version)?;
        Ok(client)
    }

    /// Asks the coordinator how it is.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer or refuses.
    pub async fn status(&self) -> Result<CoordinatorStatus, Error> {
        let answer = self.service.clone().status(v1::StatusRequest {}).await?;
        Ok(answer.into_inner().into())
    }

    /// Finds the datasets that have all of `tags`; no tag finds every dataset.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer or refuses.
    pub async fn datasets(&self, tags: &[String]) -> Result<Vec<FoundDataset>, Error> {
        self.search(tags.to_vec(), Vec::new()).await
    }

    /// Finds the datasets of an experiment.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer or refuses.
    pub async fn selected(&self, selection: &Selection) -> Result<Vec<FoundDataset>, Error> {
        match selection {
            Selection::Tags(tags) => self.search(tags.clone(), Vec::new()).await,
            Selection::Nodes(nodes) => {
                self.search(Vec::new(), nodes.iter().map(ToString::to_string).collect()).await
            }
        }
    }

    /// Fits a definition to the schemas of the connected sites that it selects.
    ///
    /// # Errors
    ///
    /// No site is selected, or the sites differ in what the plan needs.
    pub async fn resolve(&self, definition: Definition) -> Result<Resolved, Error> {
        let found = self.selected(&definition.experiment().selection).await?;
        let sites: Vec<Site> = found
            .into_iter()
            .filter(|found| found.connected)
            .map(|found| Site { node: found.node, dataset: found.dataset })
            .collect();
        definition.resolve(&sites)
    }

    /// Submits an experiment: brings the plan and the first parameters, then asks for the rounds.
    ///
    /// Without `parameters`, a safetensors file, the runtime makes the first model from the seed.
    ///
    /// # Errors
    ///
    /// The parameters cannot be made or read, a file does not get across, or the coordinator
    /// refuses the experiment.
    pub async fn submit(
        &self,
        resolved: &Resolved,
        parameters: Option<&Path>,
    ) -> Result<ExperimentId, Error> {
        let submission = Submission::prepare(resolved, parameters)?;
        self.artifacts.upload(&submission.plan, submission.plan_path()).await?;
        self.artifacts.upload(&submission.parameters, submission.parameters_path()).await?;
        let request = submission.request(resolved);
        // The identifier makes a repeated submission the same experiment, so asking again is safe.
        let answer = match self.service.clone().submit_experiment(request.clone()).await {
            Err(status) if protocol::wire::refusal::code(&status).is_none() => {
                tracing::debug!(%status, "submitting again");
                self.service.clone().submit_experiment(request).await?
            }
            answer => answer?,
        };
        Ok(wire::parse("experiment_id", &answer.into_inner().experiment_id)?)
    }

    /// Follows an experiment's events after the one numbered `after`, until it has ended.
    ///
    /// A line that breaks is taken up again where it broke.
    #[must_use]
    pub fn follow(&self, experiment: ExperimentId, after: u64) -> Follower {
        Follower::new(self.service.clone(), experiment, after)
    }

    /// Fetches an experiment's history.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer, refuses, or its answer is no history.
    pub async fn history(&self, experiment: ExperimentId) -> Result<History, Error> {
        let request = v1::ExperimentHistoryRequest { experiment_id: experiment.to_string() };
        let answer = self.service.clone().experiment_history(request).await?.into_inner();
        let understood = serde_json::from_str(&answer.history_json);
        understood.map_err(|error| wire::Error::new("history_json", error).into())
    }

    /// Fetches an experiment's newest model into the file at `path`.
    ///
    /// # Errors
    ///
    /// There is no model yet, it does not get across, or the file cannot be written.
    pub async fn download(
        &self,
        experiment: ExperimentId,
        path: &Path,
    ) -> Result<ArtifactReference, Error> {
        let details = self.show(experiment).await?;
        let model = details.model.ok_or(Error::NoModel { experiment })?;
        self.artifacts.download(&model, path).await?;
        Ok(model)
    }

    /// Fetches what the sites of a statistics experiment say together.
    ///
    /// # Errors
    ///
    /// There is nothing yet, it does not get across, or the experiment is one that trains.
    pub async fn table(&self, experiment: ExperimentId) -> Result<Table, Error> {
        let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
        let path = folder.path().join("statistics.safetensors");
        self.download(experiment, &path).await?;
        let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
        Ok(Table::parse(&bytes)?)
    }

    /// Fetches any artifact that the coordinator shows this researcher.
    ///
    /// # Errors
    ///
    /// It does not get across, or the file cannot be written.
    pub async fn fetch(&self, artifact: &ArtifactReference, path: &Path) -> Result<(), Error> {
        Ok(self.artifacts.download(artifact, path).await?)
    }

    /// Asks the owners of datasets for a plan, before there is an experiment; brings the plan first.
    ///
    /// `nodes` and `datasets` name whom to ask; where one is empty, all.
    ///
    /// # Errors
    ///
    /// No such dataset is known, the plan does not get across, or the coordinator refuses.
    pub async fn request_approval(
        &self,
        plan: &Bundle,
        (nodes, datasets): (&[String], &[String]),
        (name, message): (&str, &str),
    ) -> Result<Vec<ApprovalOverview>, Error> {
        let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
        let path = folder.path().join("plan.json");
        std::fs::write(&path, plan.bytes()).map_err(Error::file(&path))?;
        let reference = ArtifactReference::new(plan.digest(), plan.bytes().len() as u64);
        self.artifacts.upload(&reference, &path).await?;
        let request = v1::RequestApprovalRequest {
            wire_version: WIRE_VERSION,
            nodes: nodes.to_vec(),
            datasets: datasets.to_vec(),
            plan: Some(reference.into()),
            runtime: plan.runtime().as_str().to_owned(),
            name: name.to_owned(),
            message: message.to_owned(),
        };
        let answer = self.service.clone().request_approval(request).await?.into_inner();
        answer.approvals.into_iter().map(|one| Ok(one.try_into()?)).collect()
    }

    /// What owners have answered to [`Client::request_approval`], about one plan or all.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer or refuses.
    pub async fn approvals(&self, plan: Option<&Digest>) -> Result<Vec<ApprovalOverview>, Error> {
        let plan_digest = plan.map(ToString::to_string).unwrap_or_default();
        let request = v1::ApprovalsRequest { plan_digest };
        let answer = self.service.clone().approvals(request).await?.into_inner();
        answer.approvals.into_iter().map(|one| Ok(one.try_into()?)).collect()
    }

    /// Cancels an experiment; open rounds are told to stop.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer, or the experiment has ended.
    pub async fn cancel(&self, experiment: ExperimentId) -> Result<(), Error> {
        let request = v1::CancelExperimentRequest { experiment_id: experiment.to_string() };
        self.service.clone().cancel_experiment(request).await?;
        Ok(())
    }

    /// Lets a paused experiment go on.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer, or the experiment is not paused.
    pub async fn resume(&self, experiment: ExperimentId) -> Result<(), Error> {
        let request = v1::ResumeExperimentRequest { experiment_id: experiment.to_string() };
        self.service.clone().resume_experiment(request).await?;
        Ok(())
    }

    /// Lists the experiments, the newest first.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer, refuses, or is not understood.
    pub async fn list(&self) -> Result<Vec<ExperimentOverview>, Error> {
        let answer = self.service.clone().list_experiments(v1::ListExperimentsRequest {}).await?;
        let listed = answer.into_inner().experiments.into_iter().map(TryInto::try_into);
        let mut listed: Vec<ExperimentOverview> = listed.collect::<Result<_, _>>()?;
        listed.sort_by_key(|experiment| std::cmp::Reverse(experiment.submitted_at));
        Ok(listed)
    }

    /// Shows one experiment.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer, does not know it, or is not understood.
    pub async fn show(&self, experiment: ExperimentId) -> Result<ExperimentDetails, Error> {
        let request = v1::ShowExperimentRequest { experiment_id: experiment.to_string() };
        let answer = self.service.clone().show_experiment(request).await?.into_inner();
        Ok(answer.try_into()?)
    }

    /// Lists the nodes.
    ///
    /// # Errors
    ///
    /// The coordinator does not answer, refuses, or is not understood.
    pub async fn nodes(&self) -> Result<Vec<NodeOverview>, Error> {
        let answer = self.service.clone().list_nodes(v1::ListNodesRequest {}).await?.into_inner();
        Ok(answer.nodes.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
    }

    async fn search(
        &self,
        tags: Vec<String>,
        nodes: Vec<String>,
    ) -> Result<Vec<FoundDataset>, Error> {
        let request = v1::SearchDatasetsRequest { wire_version: WIRE_VERSION, tags, nodes };
        let answer = self.service.clone().search_datasets(request).await?.into_inner();
        Ok(answer.datasets.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
    }
}

/// A history of many rounds at many sites is the largest answer there is.
const LARGEST_ANSWER: usize = 64 << 20;
