//! What happens to an experiment, as it is told to whoever follows.

mod values;

use protocol::wire::{self, v1};
use protocol::{ApprovalStatus, ArtifactReference, Code, DatasetName, Digest, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use values::{RoundValues, ScalarValues, SiteValues};

/// One event of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Counts from 1 in each experiment; an event has the same number for whoever follows.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Its name, as `experiment watch --json` prints it.
    pub name: String,
    /// Its fields, as they are printed.
    pub fields: Map<String, Value>,
    /// What it says.
    pub what: Occurrence,
}

/// What an event says.
///
/// Events that this version does not know, or whose fields it does not understand, are
/// [`Other`](Self::Other); their name and fields are still in the [`Event`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Occurrence {
    /// The coordinator has the experiment.
    Submitted {
        /// Its name.
        name: String,
        /// How many rounds it has.
        rounds: u32,
        /// Its seed.
        seed: u64,
        /// Its plan.
        plan: Digest,
    },
    /// Too few matching nodes are connected.
    WaitingForNodes {
        /// The matching nodes that are connected.
        connected: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The sites of the experiment were chosen.
    Selected {
        /// The sites.
        sites: Vec<EventSite>,
    },
    /// Some sites have not approved the plan.
    WaitingForApproval {
        /// Sites whose owner has to decide.
        pending: Vec<EventSite>,
        /// Sites that have not answered.
        unanswered: Vec<EventSite>,
        /// Sites that approved.
        approved: Vec<EventSite>,
    },
    /// A site's owner tells something about the plan.
    Note {
        /// The site.
        site: EventSite,
        /// What the owner says of the plan.
        code: Code,
        /// What the owner tells.
        note: String,
        /// What was granted has ended of itself: how.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<ApprovalStatus>,
    },
    /// An attempt of a round began.
    RoundStarted {
        /// The round, from 1.
        round: u32,
        /// The attempt, from 1.
        attempt: u32,
        /// The sites that were asked.
        sites: Vec<EventSite>,
    },
    /// A site has a request and waits for a free slot.
    Queued {
        /// The site.
        site: EventSite,
        /// The round, from 1.
        round: u32,
        /// How many rounds its node runs or has queued before this one.
        queued_before: u32,
    },
    /// A site works on its round.
    Started {
        /// The site.
        site: EventSite,
        /// The round, from 1.
        round: u32,
    },
    /// A site's owner holds its update back.
    Held {
        /// The site.
        site: EventSite,
        /// The round, from 1.
        round: u32,
    },
    /// A site's owner has released its update.
    Released {
        /// The site.
        site: EventSite,
        /// The round, from 1.
        round: u32,
    },
    /// A value measured while a site trains or validates.
    Scalar(ScalarValues),
    /// The sites have measured the model of an earlier round.
    Measured(RoundValues),
    /// A round has its model.
    RoundFinished(RoundValues),
    /// A site's reply came.
    Reply {
        /// The site.
        site: EventSite,
        /// The round, from 1.
        round: u32,
        /// `ok` or the code of the failure.
        code: Code,
        /// The number of training rows behind the update.
        sample_count: u64,
        /// What of the request or the update a failure is about, in words.
        #[serde(default)]
        detail: Option<String>,
    },
    /// An attempt ended with too few successes and another follows.
    Retrying {
        /// The round, from 1.
        round: u32,
        /// The retry, from 1.
        retry: u32,
    },
    /// The updates of a round are being aggregated.
    Aggregating {
        /// The round, from 1.
        round: u32,
    },
    /// The experiment waits for somebody.
    Paused {
        /// What for, as a code.
        code: Code,
        /// What for, in words.
        message: String,
    },
    /// The experiment goes on after a pause.
    Resumed,
    /// The experiment was cancelled.
    Cancelled,
    /// The experiment cannot end well.
    Failed {
        /// Why, as a code.
        code: Code,
        /// Why, in words.
        message: String,
    },
    /// The experiment is done.
    Completed {
        /// The last model.
        model: ArtifactReference,
        /// The rounds of training that made it.
        rounds: u32,
    },
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A dataset of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSite {
    /// The node.
    pub node: NodeId,
    /// The dataset's name at the node.
    pub dataset: DatasetName,
}

impl std::fmt::Display for EventSite {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.node, self.dataset)
    }
}

impl Event {
    /// Whether nothing follows: the experiment is completed, cancelled or failed.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(
            self.what,
            Occurrence::Completed { .. } | Occurrence::Cancelled | Occurrence::Failed { .. }
        )
    }

    /// The event as one JSON object: `sequence`, `at`, `event`, then its own fields.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("sequence".to_owned(), self.sequence.into());
        object.insert("at".to_owned(), self.at.milliseconds().into());
        object.insert("event".to_owned(), self.name.clone().into());
        for (key, value) in &self.fields {
            object.entry(key).or_insert_with(|| value.clone());
        }
        Value::Object(object)
    }
}

impl TryFrom<v1::ExperimentEvent> for Event {
    type Error = wire::Error;

    fn try_from(message: v1::ExperimentEvent) -> Result<Self, wire::Error> {
        let fields = wire::parse_object("event.fields_json", &message.fields_json)?;
        let mut tagged = fields.clone();
        tagged.insert("event".to_owned(), message.name.clone().into());
        let what = serde_json::from_value(Value::Object(tagged)).unwrap_or(Occurrence::Other);
        Ok(Self {
            sequence: message.sequence,
            at: Timestamp::from_milliseconds(message.at),
            name: message.name,
            fields,
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &str, fields: &Value) -> Event {
        let message = v1::ExperimentEvent {
            sequence: 7,
            at: 5,
            name: name.to_owned(),
            fields_json: fields.to_string(),
        };
        Event::try_from(message).expect("the fields are an object")
    }

    #[test]
    fn a_known_event_is_understood_and_ignores_new_fields() {
        let site = json!({"node": "north", "dataset": "table"});
        let fields = json!({
            "site": site, "round": 3, "code": "ok", "sample_count": 120, "new_field": true
        });
        let reply = event("reply", &fields);
        let Occurrence::Reply { site, round, code, sample_count, .. } = &reply.what else {
            panic!("{reply:?}");
        };
        assert_eq!(
            (site.to_string().as_str(), *round, *code, *sample_count),
            ("north/table", 3, Code::Ok, 120)
        );
        assert!(!reply.is_last());
        assert!(event("cancelled", &json!({})).is_last());
        assert_eq!(reply.to_json()["event"], "reply");
        assert_eq!(reply.to_json()["new_field"], true);
    }

    #[test]
    fn measured_values_are_understood() {
        let fields = json!({
            "round": 2, "loss": null, "model": null,
            "metrics": [{"name": "ACCURACY", "value": 0.9, "made_by": "pooled"}],
            "sites": [{
                "site": {"node": "north", "dataset": "table"}, "code": "ok", "used": true,
                "sample_count": 9, "loss": 0.4, "metrics": {"ACCURACY": 0.8},
                "update_metrics": null, "training_seconds": 0.1
            }]
        });
        let Occurrence::Measured(values) = event("measured", &fields).what else {
            panic!("the event is known");
        };
        assert_eq!((values.round, values.loss, values.metrics[0].value), (2, None, 0.9));
        let site = &values.sites[0];
        assert_eq!(site.metrics.as_ref().and_then(|metrics| metrics.get("ACCURACY")), Some(&0.8));
        let fields = json!({
            "site": {"node": "north", "dataset": "table"}, "round": 1, "attempt": 1,
            "train": true, "test": false, "metric": {"loss": 0.5}, "epoch": 1, "iteration": 10,
            "num_batches": 12
        });
        let Occurrence::Scalar(scalar) = event("scalar", &fields).what else {
            panic!("the event is known");
        };
        assert_eq!((scalar.iteration, scalar.metric["loss"]), (10, 0.5));
    }

    #[test]
    fn what_is_new_or_malformed_stays_readable() {
        assert_eq!(event("tea-break", &json!({"minutes": 5})).what, Occurrence::Other);
        assert_eq!(event("reply", &json!({"round": "three"})).what, Occurrence::Other);
        let bad = v1::ExperimentEvent { fields_json: "[".to_owned(), ..Default::default() };
        assert!(Event::try_from(bad).is_err());
    }
}
