//! What a researcher submitted, parsed.

use std::num::NonZeroU32;
use std::time::Duration;

use aggregation::Weights;
use protocol::train_request::RuntimeKind;
use protocol::wire::{self, Error, parse, parse_object, v1};
use protocol::{
    ArtifactReference, DatasetSummary, ExperimentId, Mode, NodeId, ResearcherId, TrainRequest,
};
use round::experiment::{FinalValidation, Request, Specification, Start};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Config;

/// An experiment as it was submitted. Plan, model and arguments are carried, not understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submission {
    pub(crate) experiment_id: ExperimentId,
    pub(crate) researcher_id: ResearcherId,
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) plan: ArtifactReference,
    pub(crate) runtime: RuntimeKind,
    pub(crate) class: String,
    pub(crate) columns: Vec<String>,
    /// The data loading plan that every site is expected to have.
    #[serde(default)]
    pub(crate) data_loading_plan: Option<String>,
    pub(crate) seed: u64,
    pub(crate) weights: Weights,
    /// Whether updates are combined by the rules in their tensors' names, and not averaged.
    #[serde(default)]
    pub(crate) combines: bool,
    pub(crate) model_args: Map<String, Value>,
    pub(crate) training_args: Map<String, Value>,
    pub(crate) keep_models: bool,
    pub(crate) keep_updates: bool,
    pub(crate) experiment_toml: String,
    pub(crate) specification: Specification,
}

/// How updates become one file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Strategy {
    /// Their weighted mean.
    FedAvg(Weights),
    /// By the rules in their tensors' names.
    Combine,
}

impl Submission {
    /// Parses a submission.
    ///
    /// # Errors
    ///
    /// Names the field and the rule it breaks.
    pub(crate) fn parse(
        wire: v1::SubmitExperimentRequest,
        researcher_id: ResearcherId,
        config: &Config,
    ) -> Result<Self, Error> {
        let specification = specification(&wire, config)?;
        limit("tags", wire.tags.len(), 64)?;
        limit("nodes", wire.nodes.len(), 10_000)?;
        limit("columns", wire.columns.len(), wire::MAXIMUM_COLUMNS)?;
        short("experiment_toml", &wire.experiment_toml, wire::MAXIMUM_JSON)?;
        short("name", &wire.name, 256)?;
        short("class", &wire.class, 256)?;
        short("data_loading_plan", &wire.data_loading_plan, 256)?;
        if wire.name.trim().is_empty() || wire.name.chars().any(char::is_control) {
            return Err(Error::new("name", "is a text of one line"));
        }
        if wire.tags.is_empty() && wire.nodes.is_empty() {
            return Err(Error::new("tags", "or nodes are named"));
        }
        let combines = match wire.strategy.as_str() {
            "fed_avg" => false,
            "combine" => true,
            _ => return Err(Error::new("strategy", "is \"fed_avg\" or \"combine\"")),
        };
        let nodes = wire.nodes.iter().map(|node| parse("nodes", node));
        Ok(Self {
            experiment_id: specification.experiment_id,
            researcher_id,
            name: wire.name,
            tags: wire.tags,
            nodes: nodes.collect::<Result<_, _>>()?,
            plan: reference("plan", wire.plan)?,
            runtime: parse("runtime", &wire.runtime)?,
            class: wire.class,
            columns: wire.columns,
            data_loading_plan: Some(wire.data_loading_plan).filter(|plan| !plan.is_empty()),
            seed: wire.seed,
            weights: weights(&wire.weights)?,
            combines,
            model_args: parse_object("model_args", &wire.model_args_json)?,
            training_args: parse_object("training_args", &wire.training_args_json)?,
            keep_models: wire.keep_models,
            keep_updates: wire.keep_updates,
            experiment_toml: wire.experiment_toml,
            specification,
        })
    }

    /// How updates become one file.
    pub(crate) fn strategy(&self) -> Strategy {
        if self.combines { Strategy::Combine } else { Strategy::FedAvg(self.weights) }
    }

    /// Whether a dataset of a node is wanted: the node is named, if any are, and the dataset has every tag.
    pub(crate) fn matches(&self, node: &NodeId, dataset: &DatasetSummary) -> bool {
        (self.nodes.is_empty() || self.nodes.contains(node))
            && self.tags.iter().all(|tag| dataset.tags.contains(tag))
    }

    /// Makes the request for one execution.
    pub(crate) fn request(&self, request: &Request, time_left: Duration) -> TrainRequest {
        TrainRequest {
            round_id: request.round_id,
            experiment_id: self.experiment_id,
            round: request.round,
            researcher_id: self.researcher_id.clone(),
            dataset_id: request.dataset_id,
            mode: request.mode,
            model_args: self.model_args.clone(),
            training_args: self.training_args.clone(),
            seed: self.seed,
            plan: self.plan.clone(),
            runtime: self.runtime,
            class: self.class.clone(),
            columns: self.columns.clone(),
            parameters: request.parameters.clone(),
            aggregator_args: Map::new(),
            auxiliary_state: None,
            previous_state: None,
            time_left,
            data_loading_plan: self.data_loading_plan.clone(),
        }
    }

    /// The most bytes that one update may have.
    pub(crate) fn largest_update(&self) -> u64 {
        // An update holds the model's tensors; only its head may differ.
        self.specification.parameters.size.saturating_add(UPDATE_SLACK)
    }

    /// The mode of a round: the one after the rounds of training only validates.
    pub(crate) fn mode(&self, round: u32) -> Mode {
        if round > self.specification.rounds.get() { Mode::Validate } else { Mode::Train }
    }
}

fn specification(
    wire: &v1::SubmitExperimentRequest,
    config: &Config,
) -> Result<Specification, Error> {
    if wire.rounds > MOST_ROUNDS {
        return Err(Error::new("rounds", format!("is at most {MOST_ROUNDS}")));
    }
    if wire.round_retries > MOST_RETRIES {
        return Err(Error::new("round_retries", format!("is at most {MOST_RETRIES}")));
    }
    if wire.round_deadline_milliseconds == 0 {
        return Err(Error::new("round_deadline", "is longer than nothing"));
    }
    let training_args = parse_object("training_args", &wire.training_args_json)?;
    let selection = wire.selection_deadline_milliseconds;
    let approval = wire.approval_deadline_milliseconds;
    Ok(Specification {
        experiment_id: parse("experiment_id", &wire.experiment_id)?,
        parameters: reference("parameters", wire.parameters.clone())?,
        rounds: at_least_one("rounds", wire.rounds)?,
        min_nodes: at_least_one("min_nodes", wire.min_nodes)?,
        start: start(&wire.start)?,
        selection_deadline: if selection == 0 {
            config.selection_deadline()
        } else {
            Duration::from_millis(selection)
        },
        approval_deadline: (approval > 0).then(|| Duration::from_millis(approval)),
        round_deadline: Duration::from_millis(wire.round_deadline_milliseconds),
        round_retries: wire.round_retries,
        retry_delay: config.retry_delay(),
        final_validation: final_validation(&training_args),
    })
}

/// An experiment whose sites validate what they receive ends with one more validation.
fn final_validation(training_args: &Map<String, Value>) -> FinalValidation {
    let flag = training_args.get("test_on_global_updates").and_then(Value::as_bool);
    let ratio = training_args.get("test_ratio").and_then(Value::as_f64);
    if flag.unwrap_or(false) && ratio.unwrap_or(0.0) > 0.0 {
        FinalValidation::Run
    } else {
        FinalValidation::Skip
    }
}

fn start(text: &str) -> Result<Start, Error> {
    match text {
        "" | "all" => Ok(Start::All),
        "quorum" => Ok(Start::Quorum),
        _ => Err(Error::new("start", "is \"all\" or \"quorum\"")),
    }
}

fn weights(text: &str) -> Result<Weights, Error> {
    match text {
        "" | "samples" => Ok(Weights::Samples),
        "uniform" => Ok(Weights::Uniform),
        _ => Err(Error::new("weights", "is \"samples\" or \"uniform\"")),
    }
}

fn reference(
    field: &'static str,
    wire: Option<v1::ArtifactReference>,
) -> Result<ArtifactReference, Error> {
    wire.ok_or_else(|| Error::new(field, "is named"))?.try_into()
}

fn at_least_one(field: &'static str, number: u32) -> Result<NonZeroU32, Error> {
    NonZeroU32::new(number).ok_or_else(|| Error::new(field, "is at least 1"))
}

fn limit(field: &'static str, length: usize, most: usize) -> Result<(), Error> {
    if length <= most {
        Ok(())
    } else {
        Err(Error::new(field, format!("has at most {most} entries")))
    }
}

fn short(field: &'static str, text: &str, most: usize) -> Result<(), Error> {
    if text.len() <= most {
        Ok(())
    } else {
        Err(Error::new(field, format!("has at most {most} bytes")))
    }
}

/// Enough for any experiment, and small enough that its history is still one answer.
const MOST_ROUNDS: u32 = 100_000;
const MOST_RETRIES: u32 = 100;
const UPDATE_SLACK: u64 = 1 << 20;
