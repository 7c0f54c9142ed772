//! Train requests and artifact references.

use std::time::Duration;

use super::{
    Error, MAXIMUM_COLUMNS, limited, non_empty, object_text, parse, parse_object, require, short,
    v1,
};
use crate::{ArtifactReference, Mode, TrainRequest};

impl TryFrom<v1::ArtifactReference> for ArtifactReference {
    type Error = Error;

    fn try_from(wire: v1::ArtifactReference) -> Result<Self, Error> {
        let url = short("artifact.url", wire.url, 1024)?;
        let usual_or_path = url.is_empty() || (url.starts_with('/') && !url.starts_with("//"));
        if !usual_or_path {
            return Err(Error::new("artifact.url", "is a path on the coordinator's own port"));
        }
        Ok(Self { digest: parse("artifact.digest", &wire.digest)?, size: wire.size, url })
    }
}

impl From<ArtifactReference> for v1::ArtifactReference {
    fn from(reference: ArtifactReference) -> Self {
        Self { digest: reference.digest.to_string(), size: reference.size, url: reference.url }
    }
}

impl TryFrom<v1::TrainRequest> for TrainRequest {
    type Error = Error;

    fn try_from(wire: v1::TrainRequest) -> Result<Self, Error> {
        limited("columns", wire.columns.len(), MAXIMUM_COLUMNS)?;
        let mode = match wire.mode() {
            v1::TrainMode::Train => Mode::Train,
            v1::TrainMode::Validate => Mode::Validate,
            v1::TrainMode::Unspecified => {
                return Err(Error::new("mode", "is train or validate"));
            }
        };
        if wire.round == 0 && mode == Mode::Train {
            return Err(Error::new("round", "counts from 1"));
        }
        Ok(Self {
            round_id: parse("round_id", &wire.round_id)?,
            experiment_id: parse("experiment_id", &wire.experiment_id)?,
            round: wire.round,
            researcher_id: parse("researcher_id", &wire.researcher_id)?,
            dataset_id: parse("dataset_id", &wire.dataset_id)?,
            mode,
            model_args: parse_object("model_args", &wire.model_args_json)?,
            training_args: parse_object("training_args", &wire.training_args_json)?,
            seed: wire.seed,
            plan: require("plan", wire.plan)?.try_into()?,
            runtime: parse("runtime", &wire.runtime)?,
            class: short("class", wire.class, 256)?,
            columns: wire.columns,
            parameters: require("parameters", wire.parameters)?.try_into()?,
            aggregator_args: parse_object("aggregator_args", &wire.aggregator_args_json)?,
            auxiliary_state: wire.auxiliary_state.map(TryInto::try_into).transpose()?,
            previous_state: non_empty(short("previous_state", wire.previous_state, 256)?),
            time_left: Duration::from_millis(wire.time_left_milliseconds),
            data_loading_plan: non_empty(short("data_loading_plan", wire.data_loading_plan, 256)?),
        })
    }
}

impl From<TrainRequest> for v1::TrainRequest {
    fn from(request: TrainRequest) -> Self {
        let mode = match request.mode {
            Mode::Train => v1::TrainMode::Train,
            Mode::Validate => v1::TrainMode::Validate,
        };
        Self {
            round_id: request.round_id.to_string(),
            experiment_id: request.experiment_id.to_string(),
            round: request.round,
            researcher_id: request.researcher_id.to_string(),
            dataset_id: request.dataset_id.to_string(),
            mode: mode.into(),
            model_args_json: object_text(&request.model_args),
            training_args_json: object_text(&request.training_args),
            seed: request.seed,
            plan: Some(request.plan.into()),
            runtime: request.runtime.as_str().to_owned(),
            class: request.class,
            columns: request.columns,
            parameters: Some(request.parameters.into()),
            aggregator_args_json: object_text(&request.aggregator_args),
            auxiliary_state: request.auxiliary_state.map(Into::into),
            previous_state: request.previous_state.unwrap_or_default(),
            time_left_milliseconds: u64::try_from(request.time_left.as_millis())
                .unwrap_or(u64::MAX),
            data_loading_plan: request.data_loading_plan.unwrap_or_default(),
            parameters_bytes: Vec::new(),
        }
    }
}
