//! What is in effect for one dataset, and where each part of it comes from.

use std::collections::BTreeMap;

use protocol::DatasetName;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::argument::Bound;
use super::key::{KEYS, Kind};
use super::metrics::MetricRules;
use super::reader::{ARGUMENTS, METRIC_RANGES, Rules, Said, Value};
use super::statistics::StatisticsRules;
use crate::config::Config;

/// The owner's word on one dataset, complete.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Terms {
    /// Who may ask; without it, whoever has an approved plan.
    pub(crate) researchers: Option<Vec<String>>,
    /// Which runtimes may run; without it, all.
    pub(crate) runtimes: Option<Vec<String>>,
    /// Which modes may run; without it, all.
    pub(crate) modes: Option<Vec<String>>,
    /// What training arguments must be.
    pub(crate) arguments: BTreeMap<String, Bound>,
    /// Rounds of one researcher in 24 hours.
    pub(crate) rounds_per_day: Option<u64>,
    /// Seconds on the clock of the plan's part of a round.
    pub(crate) maximum_seconds: Option<u64>,
    /// Bytes of memory of a round.
    pub(crate) memory_limit: Option<u64>,
    /// Bytes that a Python plan may write to its scratch folder.
    pub(crate) disk_limit: Option<u64>,
    /// Whether a round may use a graphics processor.
    pub(crate) gpu: bool,
    /// Rows below which nothing is done.
    pub(crate) minimum_samples: u64,
    /// The largest L2 norm of an update.
    pub(crate) maximum_update_norm: Option<f64>,
    /// The largest file of an update.
    pub(crate) maximum_update_bytes: Option<u64>,
    /// Validated rows below which metrics stay.
    pub(crate) minimum_validation_samples: u64,
    /// Scalar messages that leave in a round.
    pub(crate) scalars_per_round: u64,
    /// Which measured values leave, and how exactly.
    pub(crate) metrics: MetricRules,
    /// What statistics may tell, and how many queries are answered.
    pub(crate) statistics: StatisticsRules,
    /// Whether an update waits for its owner.
    pub(crate) hold: bool,
    /// Whether a grant needs another person's signature, too.
    pub(crate) second_person: bool,
}

/// One key in effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// Its value; null where nothing is bounded.
    pub value: Json,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a key in effect comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// Nothing says it.
    BuiltIn,
    /// `node.toml`, or the environment over it, which is the stricter.
    Configuration,
    /// `[defaults]` of the policy.
    Defaults {
        /// The line.
        line: usize,
    },
    /// `[dataset.NAME]` of the policy.
    Dataset {
        /// The dataset.
        name: DatasetName,
        /// The line.
        line: usize,
    },
}

impl Terms {
    pub(super) fn resolve(
        config: &Config,
        defaults: &Rules,
        dataset: Option<(&DatasetName, &Rules)>,
    ) -> Self {
        let said = Told { defaults, dataset };
        Self {
            researchers: said.names("researchers"),
            runtimes: said.names("runtimes"),
            modes: said.names("modes"),
            arguments: said.bounds(),
            rounds_per_day: said.whole("rounds_per_day"),
            maximum_seconds: said.whole("maximum_seconds"),
            memory_limit: lower(said.whole("memory_limit"), config.memory_limit),
            disk_limit: said.whole("disk_limit"),
            gpu: said.flag("gpu").unwrap_or(true),
            minimum_samples: said
                .whole("minimum_samples")
                .map_or(config.minimum_samples, |samples| samples.max(config.minimum_samples)),
            maximum_update_norm: lower(
                said.number("maximum_update_norm"),
                config.maximum_update_norm,
            ),
            maximum_update_bytes: said.whole("maximum_update_bytes"),
            minimum_validation_samples: said
                .whole("minimum_validation_samples")
                .map_or(config.minimum_validation_samples, |samples| {
                    samples.max(config.minimum_validation_samples)
                }),
            scalars_per_round: said
                .whole("scalars_per_round")
                .map_or(config.scalars_per_round, |most| most.min(config.scalars_per_round)),
            metrics: said.metrics(),
            statistics: said.statistics(),
            hold: said.flag("hold").unwrap_or(false),
            second_person: said.flag("second_person").unwrap_or(false),
        }
    }
}

impl Terms {
    /// The same, and a grant's bounds on what leaves: the stricter of the two counts.
    pub(crate) fn narrowed(&self, samples: Option<u64>, metrics: Option<&[String]>) -> Self {
        let mut terms = self.clone();
        terms.minimum_samples = terms.minimum_samples.max(samples.unwrap_or(0));
        if let Some(granted) = metrics {
            let names = terms.metrics.names.take();
            let mut names = names.unwrap_or_else(|| granted.to_vec());
            names.retain(|name| granted.iter().any(|one| one.eq_ignore_ascii_case(name)));
            terms.metrics.names = Some(names);
        }
        terms
    }
}

#[cfg(test)]
impl Terms {
    /// What a policy's `[defaults]` say, over a configuration that only names a node.
    pub(crate) fn of_tests(defaults: &str) -> Self {
        let text = "name = \"north\"\ncoordinator = \"http://127.0.0.1:7400\"";
        let folder = tempfile::tempdir().unwrap();
        let folder = crate::folder::Folder::new(folder.path());
        std::fs::create_dir_all(folder.root()).unwrap();
        std::fs::write(folder.configuration(), text).unwrap();
        let config = Config::load(&folder, []).unwrap();
        let (rules, ..) = super::reader::read(&format!("[defaults]\n{defaults}\n")).unwrap();
        Self::resolve(&config, &rules, None)
    }
}

/// Each key with its value and origin, in the order of the reference page.
pub(super) fn settings(
    config: &Config,
    defaults: &Rules,
    dataset: Option<(&DatasetName, &Rules)>,
) -> Vec<Setting> {
    let said = Told { defaults, dataset };
    let terms = Terms::resolve(config, defaults, dataset);
    let mut settings = Vec::new();
    for (key, kind) in KEYS {
        match kind {
            Kind::Arguments => settings.extend(said.below(ARGUMENTS)),
            Kind::Ranges => settings.extend(said.below(METRIC_RANGES)),
            _ => {
                let (value, is_of_node) = terms.value(key, config);
                settings.push(said.setting(key, value, is_of_node));
            }
        }
    }
    settings
}

impl Terms {
    /// The same without the bound on an update's norm: of numbers that are no weights it says nothing.
    pub(crate) fn of_counts(&self) -> Self {
        Self { maximum_update_norm: None, ..self.clone() }
    }

    /// The value of a plain key, and whether `node.toml` has one that is as strict.
    fn value(&self, key: &str, config: &Config) -> (Json, bool) {
        let minimum = |value: u64, of_node: u64| (json!(value), value == of_node);
        match key {
            "researchers" => (json!(self.researchers), false),
            "runtimes" => (json!(self.runtimes), false),
            "modes" => (json!(self.modes), false),
            "rounds_per_day" => (json!(self.rounds_per_day), false),
            "maximum_seconds" => (json!(self.maximum_seconds), false),
            "memory_limit" => {
                let limit = self.memory_limit;
                (json!(limit), limit.is_some() && limit == config.memory_limit)
            }
            "disk_limit" => (json!(self.disk_limit), false),
            "gpu" => (json!(self.gpu && config.devices.gpu), self.gpu),
            "minimum_samples" => minimum(self.minimum_samples, config.minimum_samples),
            "maximum_update_norm" => {
                let norm = self.maximum_update_norm;
                (json!(norm), norm.is_some() && norm == config.maximum_update_norm)
            }
            "maximum_update_bytes" => (json!(self.maximum_update_bytes), false),
            "minimum_validation_samples" => {
                minimum(self.minimum_validation_samples, config.minimum_validation_samples)
            }
            "scalars_per_round" => minimum(self.scalars_per_round, config.scalars_per_round),
            "metrics" => (json!(self.metrics.names), false),
            "metric_digits" => (json!(self.metrics.digits), false),
            "statistics_minimum_count" => (json!(self.statistics.minimum_count), false),
            "statistics_minimum_difference" => (json!(self.statistics.minimum_difference), false),
            "statistics_extremes" => (json!(self.statistics.extremes), false),
            "statistics_per_day" => (json!(self.statistics.per_day), false),
            "statistics_total" => (json!(self.statistics.total), false),
            "hold" => (json!(self.hold), false),
            "second_person" => (json!(self.second_person), false),
            _ => (Json::Null, false),
        }
    }
}

/// What a policy says of one dataset: its own table first, then the defaults.
#[derive(Clone, Copy)]
struct Told<'a> {
    defaults: &'a Rules,
    dataset: Option<(&'a DatasetName, &'a Rules)>,
}

impl<'a> Told<'a> {
    fn find(self, key: &str) -> Option<(&'a Said, Origin)> {
        let special = self.dataset.and_then(|(name, rules)| {
            let said = rules.get(key)?;
            Some((said, Origin::Dataset { name: name.clone(), line: said.line }))
        });
        special.or_else(|| {
            let said = self.defaults.get(key)?;
            Some((said, Origin::Defaults { line: said.line }))
        })
    }

    fn value(self, key: &str) -> Option<&'a Value> {
        self.find(key).map(|(said, _)| &said.value)
    }

    fn names(self, key: &str) -> Option<Vec<String>> {
        match self.value(key) {
            Some(Value::Names(names)) => Some(names.clone()),
            _ => None,
        }
    }

    fn whole(self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some(Value::Whole(number)) => Some(*number),
            _ => None,
        }
    }

    fn number(self, key: &str) -> Option<f64> {
        match self.value(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    fn flag(self, key: &str) -> Option<bool> {
        match self.value(key) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// The keys that begin so, each once.
    fn keys_below(self, prefix: &str) -> impl Iterator<Item = &'a String> {
        let special = self.dataset.map(|(_, rules)| rules);
        let mut keys: Vec<_> = [Some(self.defaults), special]
            .into_iter()
            .flatten()
            .flat_map(Rules::keys)
            .filter(|key| key.starts_with(prefix))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter()
    }

    fn bounds(self) -> BTreeMap<String, Bound> {
        let bounds = self.keys_below(ARGUMENTS).filter_map(|key| match self.value(key) {
            Some(Value::Bound(bound)) => Some((key[ARGUMENTS.len()..].to_owned(), bound.clone())),
            _ => None,
        });
        bounds.collect()
    }

    fn metrics(self) -> MetricRules {
        let ranges = self.keys_below(METRIC_RANGES).filter_map(|key| match self.value(key) {
            Some(Value::Range(range)) => Some((key[METRIC_RANGES.len()..].to_owned(), *range)),
            _ => None,
        });
        let digits = self.whole("metric_digits").and_then(|digits| u32::try_from(digits).ok());
        MetricRules { names: self.names("metrics"), digits, ranges: ranges.collect() }
    }

    fn statistics(self) -> StatisticsRules {
        let usual = StatisticsRules::default();
        let whole = |key, usual| self.whole(key).unwrap_or(usual);
        StatisticsRules {
            minimum_count: whole("statistics_minimum_count", usual.minimum_count),
            minimum_difference: whole("statistics_minimum_difference", usual.minimum_difference),
            extremes: self.flag("statistics_extremes").unwrap_or(usual.extremes),
            per_day: whole("statistics_per_day", usual.per_day),
            total: self.whole("statistics_total").or(usual.total),
        }
    }

    fn below(self, prefix: &'static str) -> impl Iterator<Item = Setting> {
        self.keys_below(prefix).filter_map(move |key| {
            let (said, origin) = self.find(key)?;
            Some(Setting { key: key.clone(), value: json!(said.value), origin })
        })
    }

    fn setting(self, key: &str, value: Json, is_of_node: bool) -> Setting {
        let origin = match self.find(key) {
            _ if is_of_node => Origin::Configuration,
            Some((_, origin)) => origin,
            None => Origin::BuiltIn,
        };
        Setting { key: key.to_owned(), value, origin }
    }
}

/// The stricter of two limits.
fn lower<T: PartialOrd>(policy: Option<T>, of_node: Option<T>) -> Option<T> {
    match (policy, of_node) {
        (Some(policy), Some(of_node)) if of_node < policy => Some(of_node),
        (Some(policy), _) => Some(policy),
        (None, of_node) => of_node,
    }
}
