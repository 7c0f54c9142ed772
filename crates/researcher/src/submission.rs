//! What is brought and said when an experiment is submitted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::wire::v1;
use protocol::{ArtifactReference, Digester, ExperimentId, RuntimeKind, WIRE_VERSION};
use serde_json::{Map, Value};
use tempfile::NamedTempFile;
use training_plan::experiment::{Experiment, Selection};

use crate::definition::length;
use crate::{Error, Resolved, chance};

/// The two files of a submission and its identifier.
pub(crate) struct Submission {
    experiment_id: ExperimentId,
    pub(crate) plan: ArtifactReference,
    pub(crate) parameters: ArtifactReference,
    plan_file: NamedTempFile,
    parameters_file: ParametersFile,
}

/// The first model: made here, or given.
enum ParametersFile {
    Made(NamedTempFile),
    Given(PathBuf),
}

impl Submission {
    /// Writes the plan, makes or takes the parameters, and names both by their content.
    pub(crate) fn prepare(resolved: &Resolved, parameters: Option<&Path>) -> Result<Self, Error> {
        let plan_file = temporary(resolved.definition().bundle().bytes())?;
        let parameters_file = match parameters {
            Some(path) => ParametersFile::Given(path.to_owned()),
            None => ParametersFile::Made(make_parameters(resolved)?),
        };
        Ok(Self {
            experiment_id: chance::experiment_id(),
            plan: resolved.definition().plan_reference(),
            parameters: reference_of(parameters_file.path())?,
            plan_file,
            parameters_file,
        })
    }

    pub(crate) fn plan_path(&self) -> &Path {
        self.plan_file.path()
    }

    pub(crate) fn parameters_path(&self) -> &Path {
        self.parameters_file.path()
    }

    pub(crate) fn request(&self, resolved: &Resolved) -> v1::SubmitExperimentRequest {
        let definition = resolved.definition();
        let experiment = definition.experiment();
        let (tags, nodes) = match &experiment.selection {
            Selection::Tags(tags) => (tags.clone(), Vec::new()),
            Selection::Nodes(nodes) => {
                (Vec::new(), nodes.iter().map(ToString::to_string).collect())
            }
        };
        v1::SubmitExperimentRequest {
            wire_version: WIRE_VERSION,
            name: experiment.name.clone(),
            tags,
            nodes,
            plan: Some(self.plan.clone().into()),
            runtime: definition.bundle().runtime().as_str().to_owned(),
            class: experiment.class.clone(),
            parameters: Some(self.parameters.clone().into()),
            columns: resolved.columns.clone(),
            rounds: experiment.rounds,
            seed: resolved.seed,
            min_nodes: experiment.minimum_nodes,
            round_deadline_milliseconds: milliseconds(experiment.round_deadline),
            selection_deadline_milliseconds: milliseconds(experiment.selection_deadline),
            approval_deadline_milliseconds: experiment.approval_deadline.map_or(0, milliseconds),
            start: experiment.start.as_str().to_owned(),
            round_retries: experiment.round_retries,
            weights: experiment.strategy.weights().as_str().to_owned(),
            strategy: experiment.strategy.kind().to_owned(),
            model_args_json: object_text(&experiment.model_args),
            training_args_json: training_arguments(experiment),
            keep_models: experiment.keep_models,
            keep_updates: experiment.keep_updates,
            experiment_toml: definition.text().to_owned(),
            experiment_id: self.experiment_id.to_string(),
            data_loading_plan: experiment.loading_plan.clone().unwrap_or_default(),
        }
    }
}

impl ParametersFile {
    fn path(&self) -> &Path {
        match self {
            Self::Made(file) => file.path(),
            Self::Given(path) => path,
        }
    }
}

fn make_parameters(resolved: &Resolved) -> Result<NamedTempFile, Error> {
    let file = temporary(&[])?;
    let bundle = resolved.definition().bundle();
    match bundle.runtime() {
        RuntimeKind::Python => return Err(Error::NoParameters),
        RuntimeKind::Native => {
            runtime::initial_parameters(bundle, &resolved.columns, resolved.seed, file.path())?;
        }
        RuntimeKind::Statistics => {
            runtime::empty_statistics(bundle, &resolved.columns, file.path())?;
        }
    }
    Ok(file)
}

fn temporary(bytes: &[u8]) -> Result<NamedTempFile, Error> {
    let folder = std::env::temp_dir();
    let file =
        NamedTempFile::with_prefix_in("wardround-", &folder).map_err(Error::file(&folder))?;
    std::fs::write(file.path(), bytes).map_err(Error::file(file.path()))?;
    Ok(file)
}

/// Names a file by its content, read in pieces.
fn reference_of(path: &Path) -> Result<ArtifactReference, Error> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path).map_err(Error::file(path))?;
    let (mut digester, mut size) = (Digester::new(), 0_u64);
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).map_err(Error::file(path))?;
        if read == 0 {
            return Ok(ArtifactReference::new(digester.finish(), size));
        }
        digester.update(&piece[..read]);
        size += length(&piece[..read]);
    }
}

/// The arguments as they travel: complete, with sorted keys, defaults included.
fn training_arguments(experiment: &Experiment) -> String {
    experiment.training_arguments().to_json().to_string()
}

fn object_text(object: &Map<String, Value>) -> String {
    Value::Object(object.clone()).to_string()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const PIECE: usize = 1 << 20;
