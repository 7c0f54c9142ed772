//! What node and worker say to each other: version 1 of the job protocol.
//!
//! Everything that a worker says is hostile until it is one of these types.

use parameters::Dtype;
use protocol::Mode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the node asks for; one request at a time.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Request<'a> {
    /// Build the plan object of the source in the payload.
    Instantiate {
        /// The plan's class; empty for the only one.
        class: &'a str,
        /// The name that the source has in tracebacks.
        file: &'a str,
    },
    /// Build the model and the optimizer.
    Initialise {
        /// The model's arguments.
        model_args: &'a Map<String, Value>,
        /// All training arguments, defaults included.
        training_args: &'a Value,
        /// The seed of the initial values, in decimal digits.
        seed: &'a str,
        /// Whether the work is done on a GPU.
        gpu: bool,
        /// Whether the round trains.
        mode: Mode,
        /// Whether a descriptor of kept tensors comes with the request.
        local_state: bool,
    },
    /// Take the global parameters from the descriptor.
    Load {},
    /// Open the granted view of the dataset.
    OpenData(OpenData<'a>),
    /// Take the rows of both subsets from the descriptor.
    Split {
        /// Rows that train.
        train: u64,
        /// Rows that validate.
        validation: u64,
    },
    /// Predict the validation subset.
    Validate {
        /// `global` or `local`.
        which: &'static str,
        /// The metric that was asked for.
        metric: Option<&'a str>,
        /// How it is computed.
        metric_args: &'a Map<String, Value>,
        /// Rows of a batch; 0 for all at once.
        batch_size: u64,
    },
    /// Train.
    Train {},
    /// Write the parameters into the first descriptor, and what is kept into the second.
    Export {
        /// Whether there is a second descriptor.
        state: bool,
    },
}

/// The granted view of a dataset.
#[derive(Debug, Serialize)]
pub(super) struct OpenData<'a> {
    /// `table`, `image_folder` or `medical_folder`.
    pub(super) kind: &'a str,
    /// The table's file, or the folder.
    pub(super) path: &'a str,
    /// The columns of a table, in the file's order.
    pub(super) columns: &'a [String],
    /// The rows or samples that the node counts.
    pub(super) rows: u64,
    /// Whether the class of each sample is asked for.
    pub(super) labels: bool,
    /// The data loading plan that was applied.
    pub(super) loading_plan: Option<&'a Value>,
    /// The file that lists a folder's samples.
    pub(super) manifest: Option<&'a str>,
}

/// A request with its number.
#[derive(Serialize)]
pub(super) struct Numbered<'a> {
    pub(super) id: u64,
    #[serde(flatten)]
    pub(super) request: &'a Request<'a>,
}

/// The node's answer to a question for an epoch's order; the positions come with a descriptor.
#[derive(Serialize)]
pub(super) struct OrderAnswer {
    pub(super) id: u64,
    pub(super) order: Epoch,
    pub(super) seed: String,
}

/// One message of a worker.
#[derive(Debug)]
pub(super) enum Said {
    /// The request is done.
    Done(Value),
    /// The request failed.
    Failed(Failed),
    /// Truth and prediction of some rows.
    Part(Part),
    /// The classes of some samples.
    Labels(Labels),
    /// A measurement.
    Scalar(ScalarBody),
    /// A question for an epoch's order.
    Order(Epoch),
}

/// A failure inside the plan, or of what it was given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failed {
    pub(super) reason: Reason,
    #[serde(default)]
    pub(super) class: Option<String>,
    #[serde(default)]
    pub(super) line: Option<u32>,
    #[serde(default)]
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) rule: Option<String>,
    /// The node compares tensors by itself.
    #[serde(rename = "expected", default)]
    pub(super) _expected: Vec<TensorBody>,
    #[serde(rename = "found", default)]
    pub(super) _found: Vec<TensorBody>,
}

/// What went wrong in a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    NotLoadable,
    Init,
    Arguments,
    Mismatch,
    Data,
    NoTrainingSamples,
    Metric,
    Training,
    Diverged,
    Export,
    Defect,
}

/// A tensor of the model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TensorBody {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
}

/// How many rows a payload holds, and how wide they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) rows: usize,
    pub(super) truth: Truth,
    pub(super) prediction: Columns,
}

/// How many classes a payload holds, 64 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Labels {
    pub(super) rows: usize,
}

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Truth {
    pub(super) columns: usize,
    pub(super) kind: TruthKind,
}

/// Whether numbers are classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TruthKind {
    /// Numbers that name classes.
    Label,
    /// Measured numbers.
    Number,
}

/// The width of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Columns {
    pub(super) columns: usize,
}

/// A measurement during training. What the node can count by itself is read and not believed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScalarBody {
    pub(super) epoch: u64,
    pub(super) iteration: u64,
    #[serde(rename = "total_samples", default)]
    _total_samples: u64,
    #[serde(rename = "batch_samples", default)]
    _batch_samples: u64,
    #[serde(rename = "num_batches", default)]
    _num_batches: u64,
    #[serde(rename = "num_samples_trained", default)]
    _num_samples_trained: u64,
    pub(super) metrics: Map<String, Value>,
}

/// An epoch, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Epoch {
    pub(super) epoch: u64,
}

/// The plan object is built.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Instantiated {
    pub(super) family: Family,
    pub(super) metrics: Option<Vec<String>>,
    /// The metric that is meant where none is named.
    #[serde(default)]
    pub(super) default_metric: Option<String>,
    pub(super) python: String,
    #[serde(default)]
    pub(super) versions: Map<String, Value>,
}

/// What a plan is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Family {
    /// PyTorch.
    Torch,
    /// scikit-learn.
    Sklearn,
}

/// The model is built.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Initialised {
    pub(super) tensors: Vec<TensorBody>,
    #[serde(default)]
    pub(super) optimizer_args: Map<String, Value>,
    /// Whether the plan keeps tensors between rounds.
    #[serde(default)]
    pub(super) state: bool,
    #[serde(rename = "device", default)]
    _device: String,
}

/// The dataset is open.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataOpened {
    pub(super) samples: u64,
}

/// The validation subset is predicted, or measured by the plan itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Validated {
    #[serde(default)]
    pub(super) values: Map<String, Value>,
}

/// The training is over. The optimizer's arguments were told before any row was there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trained {
    pub(super) steps: u64,
    pub(super) samples_trained: u64,
    #[serde(rename = "optimizer_args", default)]
    _optimizer_args: Map<String, Value>,
}

/// The parameters are written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exported {
    #[serde(rename = "size")]
    _size: u64,
    #[serde(default)]
    pub(super) state_size: u64,
}

/// A request is done, and there is nothing to tell.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    id: u64,
    #[serde(default)]
    ok: Option<Value>,
    #[serde(default)]
    failed: Option<Failed>,
    #[serde(default)]
    part: Option<Part>,
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    scalar: Option<ScalarBody>,
    #[serde(default)]
    order: Option<Epoch>,
}

/// Reads a worker's message, which must answer this request.
pub(super) fn parse(header: &[u8], id: u64) -> Result<Said, String> {
    let form: Form = serde_json::from_slice(header)
        .map_err(|error| format!("a message that is none of the protocol's: {error}"))?;
    if form.id != id {
        return Err(format!("an answer to request {} while request {id} waits", form.id));
    }
    let Form { ok, failed, part, labels, scalar, order, .. } = form;
    let bodies = [
        ok.map(Said::Done),
        failed.map(Said::Failed),
        part.map(Said::Part),
        labels.map(Said::Labels),
        scalar.map(Said::Scalar),
        order.map(Said::Order),
    ];
    let mut bodies = bodies.into_iter().flatten();
    match (bodies.next(), bodies.next()) {
        (Some(said), None) => Ok(said),
        _ => Err("a message with none or several of its bodies".to_owned()),
    }
}

/// Reads what a finished request gives.
pub(super) fn parse_done<T: DeserializeOwned>(done: Value) -> Result<T, String> {
    serde_json::from_value(done).map_err(|error| format!("another result than asked for: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_exactly_one_body_and_the_right_number() {
        assert!(matches!(parse(br#"{"id":3,"ok":{}}"#, 3), Ok(Said::Done(_))));
        assert!(parse(br#"{"id":2,"ok":{}}"#, 3).is_err());
        assert!(parse(br#"{"id":3}"#, 3).is_err());
        assert!(parse(br#"{"id":3,"ok":{},"order":{"epoch":0}}"#, 3).is_err());
        assert!(parse(br#"{"id":3,"ok":{},"more":1}"#, 3).is_err());
        assert!(
            parse(br#"{"id":3,"scalar":{"epoch":1,"iteration":1,"metrics":{"Loss":NaN}}}"#, 3)
                .is_err()
        );
    }

    #[test]
    fn a_request_is_spelled_as_the_protocol_says() {
        let request = Request::Split { train: 4, validation: 1 };
        let text = serde_json::to_string(&Numbered { id: 5, request: &request }).unwrap();
        assert_eq!(text, r#"{"id":5,"do":"split","train":4,"validation":1}"#);
        let request = Request::Load {};
        let text = serde_json::to_string(&Numbered { id: 3, request: &request }).unwrap();
        assert_eq!(text, r#"{"id":3,"do":"load"}"#);
    }
}
