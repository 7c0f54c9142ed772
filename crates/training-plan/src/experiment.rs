//! The experiment file: what a researcher wants done with a plan, on which datasets, how often.
//!
//! Every key of the file and its default:
//!
//! | key | rule | default |
//! |---|---|---|
//! | `experiment.name` | 1 to 128 characters | – |
//! | `experiment.tags` | datasets that have all of them; exclusive with `nodes` | – |
//! | `experiment.nodes` | names of nodes; exclusive with `tags` | – |
//! | `experiment.plan` | the plan's file, relative to this one | – |
//! | `experiment.class` | the plan's class, for a Python plan with several | the only one |
//! | `experiment.loading_plan` | the data loading plan that every site must have: `NAME`, or `NAME@VERSION` | any or none |
//! | `experiment.rounds` | 1 to 100,000 | – |
//! | `experiment.seed` | 0 to 2^64 − 1 | drawn at submission |
//! | `experiment.min_nodes` | at least 1 | 2 with `tags`, all of them with `nodes` |
//! | `experiment.round_deadline` | a duration | `"1h"` |
//! | `experiment.selection_deadline` | a duration | `"10m"` |
//! | `experiment.approval_deadline` | a duration | none |
//! | `experiment.start` | `"all"` or `"quorum"` | `"all"` |
//! | `experiment.round_retries` | 0 to 100 | 2 |
//! | `experiment.keep_models` | boolean: keep every round's model | false |
//! | `experiment.keep_updates` | boolean: keep every site's update | false |
//! | `strategy.kind` | `"fed_avg"` | `"fed_avg"` |
//! | `strategy.weights` | `"samples"` or `"uniform"` | `"samples"` |
//! | `statistics` | a [`Query`]: what is asked in place of training; excludes `plan`, `class`, `rounds`, `keep_models`, and the other sections | none |
//! | `model_args` | any keys; a native plan takes none | {} |
//! | `training_args` | [`TrainingArguments`] | {} |
//!
//! A duration is a whole number and a unit: `"500ms"`, `"60s"`, `"10m"`, `"2h"`, `"7d"`.

use std::time::Duration;

use protocol::NodeId;
use serde_json::{Map, Value as Json};

use crate::arguments::TrainingArguments;
use crate::document::{Document, Error, Section};
use crate::statistics::{self, Query};

mod duration;

/// An experiment as its file describes it.
///
/// # Examples
///
/// ```
/// use training_plan::experiment::{Experiment, Selection};
///
/// let text = r#"
/// [experiment]
/// name = "breast cancer, logistic"
/// tags = ["breast-cancer"]
/// plan = "logistic.toml"
/// rounds = 20
/// [training_args.optimizer_args]
/// lr = 0.1
/// "#;
/// let experiment = Experiment::parse("experiment.toml", text)?;
/// assert_eq!(experiment.selection, Selection::Tags(vec!["breast-cancer".to_owned()]));
/// assert_eq!(experiment.minimum_nodes, 2);
/// # Ok::<(), training_plan::document::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The experiment's name, for people.
    pub name: String,
    /// Which datasets take part.
    pub selection: Selection,
    /// The plan's file as it is written, relative to the experiment's own file; empty where statistics are asked for.
    pub plan: String,
    /// What is asked in place of training.
    pub statistics: Option<Query>,
    /// The plan's class inside a Python plan; empty for the only one.
    pub class: String,
    /// The data loading plan that every site must have, with its version or in any.
    pub loading_plan: Option<String>,
    /// How many rounds are trained.
    pub rounds: u32,
    /// The seed, or none to have one drawn at submission.
    pub seed: Option<u64>,
    /// How many successes a round needs (`min_nodes`).
    pub minimum_nodes: u32,
    /// How long a round may take.
    pub round_deadline: Duration,
    /// How long to wait for enough nodes.
    pub selection_deadline: Duration,
    /// How long to wait for approvals; none waits without end.
    pub approval_deadline: Option<Duration>,
    /// When training begins.
    pub start: Start,
    /// How often a round is tried again.
    pub round_retries: u32,
    /// Whether every round's model is kept.
    pub keep_models: bool,
    /// Whether every site's update is kept.
    pub keep_updates: bool,
    /// The arguments of the plan's model.
    pub model_args: Map<String, Json>,
    /// How updates become a model.
    pub strategy: Strategy,
    /// The training arguments as they are written; they have been found correct.
    pub training_args: Map<String, Json>,
}

/// Which datasets take part in an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those that have all of these tags.
    Tags(Vec<String>),
    /// Those of these nodes.
    Nodes(Vec<NodeId>),
}

/// When an experiment that waits for approvals begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// When every site has approved.
    All,
    /// When `min_nodes` sites have.
    Quorum,
}

impl Start {
    /// The word that files and messages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Quorum => "quorum",
        }
    }
}

/// How updates become a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The weighted mean of the updates.
    FedAvg {
        /// What the weights are.
        weights: Weights,
    },
    /// Each number by the rule in its tensor's name: for statistics.
    Combine,
}

impl Strategy {
    /// The word that files and messages use.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::FedAvg { .. } => "fed_avg",
            Self::Combine => "combine",
        }
    }

    /// What the weights of a mean are; the usual ones where there is no mean.
    #[must_use]
    pub const fn weights(self) -> Weights {
        match self {
            Self::FedAvg { weights } => weights,
            Self::Combine => Weights::Samples,
        }
    }
}

/// What an update counts in a mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// As many times as it has training rows.
    Samples,
    /// Once.
    Uniform,
}

impl Weights {
    /// The word that files and messages use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Uniform => "uniform",
        }
    }
}

impl Experiment {
    /// Reads the text of an experiment file; `file` is the name that errors give.
    ///
    /// # Errors
    ///
    /// The first thing that breaks a rule, with its file, line, key and rule.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        if text.len() > LARGEST {
            let rule = format!("is not read: the file has more than {LARGEST} bytes");
            return Err(Error::rule(file, 1, "experiment", rule));
        }
        let document = Document::parse(file, text)?;
        let root = document.root(SECTIONS)?;
        let section = root.required_section("experiment", KEYS)?;
        let selection = read_selection(section)?;
        let statistics = read_statistics(root, section)?;
        let (plan, rounds, strategy) = match &statistics {
            Some(_) => (String::new(), 1, Strategy::Combine),
            None => (
                section.required_name("plan", 4_096)?.to_owned(),
                count(section, "rounds", 1, MOST_ROUNDS)?
                    .ok_or_else(|| section.missing("rounds"))?,
                read_strategy(root.section("strategy", &["kind", "weights"])?)?,
            ),
        };
        Ok(Self {
            name: section.required_name("name", 128)?.to_owned(),
            minimum_nodes: read_minimum(section, &selection)?,
            selection,
            plan,
            statistics,
            class: read_class(section)?,
            loading_plan: read_loading_plan(section)?,
            rounds,
            seed: section.integer("seed", 0, u64::MAX)?,
            round_deadline: duration::read(section, "round_deadline")?.unwrap_or(ROUND_DEADLINE),
            selection_deadline: duration::read(section, "selection_deadline")?
                .unwrap_or(SELECTION_DEADLINE),
            approval_deadline: duration::read(section, "approval_deadline")?,
            start: section.choice("start", &STARTS)?.unwrap_or(Start::All),
            round_retries: count(section, "round_retries", 0, 100)?.unwrap_or(ROUND_RETRIES),
            keep_models: section.boolean("keep_models")?.unwrap_or(false),
            keep_updates: section.boolean("keep_updates")?.unwrap_or(false),
            model_args: read_json(root, "model_args")?,
            strategy,
            training_args: read_training_args(root)?,
        })
    }

    /// The experiment that asks for statistics of the same datasets, with the same patience.
    #[must_use]
    pub fn asking(&self, query: Query) -> Self {
        let suffix = " (statistics)";
        let name: String = self.name.chars().take(128 - suffix.len()).collect();
        Self {
            name: name + suffix,
            plan: String::new(),
            statistics: Some(query),
            class: String::new(),
            rounds: 1,
            keep_models: false,
            keep_updates: false,
            // A scale is of all sites, so there is nothing to begin with before all have approved.
            start: Start::All,
            model_args: Map::new(),
            strategy: Strategy::Combine,
            training_args: Map::new(),
            ..self.clone()
        }
    }

    /// The training arguments, parsed.
    #[must_use]
    pub fn training_arguments(&self) -> TrainingArguments {
        TrainingArguments::parse(&Json::Object(self.training_args.clone())).unwrap_or_default()
    }
}

fn read_selection(section: Section<'_>) -> Result<Selection, Error> {
    match (section.distinct_texts("tags")?, section.distinct_texts("nodes")?) {
        (Some(tags), None) if !tags.is_empty() => {
            Ok(Selection::Tags(tags.into_iter().map(str::to_owned).collect()))
        }
        (None, Some(names)) if !names.is_empty() => {
            let nodes = names.iter().map(|name| {
                let rule = format!("must hold names of nodes, {name:?} is none");
                name.parse().map_err(|_| section.rule("nodes", rule))
            });
            Ok(Selection::Nodes(nodes.collect::<Result<_, _>>()?))
        }
        (Some(_), None) => Err(section.rule("tags", "must hold at least one tag")),
        (None, Some(_)) => Err(section.rule("nodes", "must hold at least one name")),
        (Some(_), Some(_)) => Err(section.rule("nodes", "must be absent where \"tags\" is given")),
        (None, None) => Err(section.missing("tags").with_hint("or give \"nodes\"")),
    }
}

/// Reads what is asked in place of training; what only training takes is refused beside it.
fn read_statistics(root: Section<'_>, section: Section<'_>) -> Result<Option<Query>, Error> {
    let Some(statistics) = root.section("statistics", statistics::KEYS)? else { return Ok(None) };
    let rule = "must be absent where statistics are asked for";
    if let Some(key) = ["plan", "class", "rounds", "keep_models"]
        .into_iter()
        .find(|key| section.item(key).is_some())
    {
        return Err(section.rule(key, rule));
    }
    let others = SECTIONS.iter().filter(|name| !["experiment", "statistics"].contains(name));
    if let Some(name) = others.copied().find(|name| root.item(name).is_some()) {
        return Err(root.rule(name, rule));
    }
    statistics::read(statistics).map(Some)
}

/// The plan itself is each site's own; what it is called is agreed.
fn read_loading_plan(section: Section<'_>) -> Result<Option<String>, Error> {
    let Some(expected) = section.text("loading_plan")? else { return Ok(None) };
    let (name, version) = match expected.rsplit_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (expected, None),
    };
    let is_name = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let is_version = version.is_none_or(|text| {
        text.parse::<u32>().is_ok_and(|version| version >= 1 && version.to_string() == text)
    });
    if is_name && is_version {
        return Ok(Some(expected.to_owned()));
    }
    let rule = "must be the name of a data loading plan, or NAME@VERSION";
    Err(section.rule("loading_plan", rule))
}

/// A class is a name in a Python plan, and nothing in others.
fn read_class(section: Section<'_>) -> Result<String, Error> {
    let Some(class) = section.text("class")? else { return Ok(String::new()) };
    let is_name = !class.is_empty()
        && class.len() <= 128
        && !class.starts_with(|c: char| c.is_ascii_digit())
        && class.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(section.rule("class", "must be the name of a class"));
    }
    if !section.required_name("plan", 4_096)?.ends_with(".py") {
        return Err(section.rule("class", "must be absent where the plan is no Python file"));
    }
    Ok(class.to_owned())
}

fn read_minimum(section: Section<'_>, selection: &Selection) -> Result<u32, Error> {
    let minimum = count(section, "min_nodes", 1, u32::MAX)?;
    match (selection, minimum) {
        (Selection::Tags(_), minimum) => Ok(minimum.unwrap_or(MINIMUM_NODES)),
        (Selection::Nodes(nodes), minimum) => {
            let all = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
            match minimum {
                Some(minimum) if minimum > all => {
                    let rule =
                        format!("must be at most {all}, the number of nodes, found {minimum}");
                    Err(section.rule("min_nodes", rule))
                }
                minimum => Ok(minimum.unwrap_or(all)),
            }
        }
    }
}

fn read_strategy(section: Option<Section<'_>>) -> Result<Strategy, Error> {
    let Some(section) = section else {
        return Ok(Strategy::FedAvg { weights: Weights::Samples });
    };
    section.choice("kind", &[("fed_avg", ())])?;
    let choices = [Weights::Samples, Weights::Uniform].map(|weights| (weights.as_str(), weights));
    let weights = section.choice("weights", &choices)?.unwrap_or(Weights::Samples);
    Ok(Strategy::FedAvg { weights })
}

fn read_json(root: Section<'_>, key: &str) -> Result<Map<String, Json>, Error> {
    match root.item(key) {
        None => Ok(Map::new()),
        Some(item) => Section::open_any(root.file(), item)?.json_except(&[]),
    }
}

/// Reads the training arguments and has them judged now: the nodes would only say the same later.
fn read_training_args(root: Section<'_>) -> Result<Map<String, Json>, Error> {
    let given = read_json(root, "training_args")?;
    let judged = Json::Object(given);
    if let Err(error) = TrainingArguments::parse(&judged) {
        return Err(root.rule_below("training_args", error.key(), error.rule().to_string()));
    }
    match judged {
        Json::Object(given) => Ok(given),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            unreachable!("it was made an object above")
        }
    }
}

fn count(section: Section<'_>, key: &str, least: u32, most: u32) -> Result<Option<u32>, Error> {
    let found = section.integer(key, u64::from(least), u64::from(most))?;
    Ok(found.map(|found| u32::try_from(found).expect("it is at most a u32")))
}

const SECTIONS: &[&str] = &["experiment", "model_args", "statistics", "strategy", "training_args"];

const KEYS: &[&str] = &[
    "name",
    "tags",
    "nodes",
    "plan",
    "class",
    "loading_plan",
    "rounds",
    "seed",
    "min_nodes",
    "round_deadline",
    "selection_deadline",
    "approval_deadline",
    "start",
    "round_retries",
    "keep_models",
    "keep_updates",
];

const STARTS: [(&str, Start); 2] = [("all", Start::All), ("quorum", Start::Quorum)];

/// The most bytes of an experiment file.
const LARGEST: usize = 1 << 20;

const MOST_ROUNDS: u32 = 100_000;
const MINIMUM_NODES: u32 = 2;
const ROUND_RETRIES: u32 = 2;
const ROUND_DEADLINE: Duration = Duration::from_secs(60 * 60);
const SELECTION_DEADLINE: Duration = Duration::from_secs(10 * 60);
