//! What may leave a node, decided from the file and the node's own counts.

use std::path::Path;

use parameters::{Reader, Schema, TensorSchema, header};
use protocol::detail::TensorDetail;
use protocol::{Code, Detail, MetricsReport, Warning};
use round::Failure;
use serde::{Deserialize, Serialize};

use crate::policy::{Altered, Terms};

/// The declared content of an update: exactly this may leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declaration {
    /// The tensors.
    pub(crate) schema: Schema,
    /// The one text that the file may carry: that of the received parameters.
    pub(crate) description: Option<String>,
    /// The metrics that the plan declares.
    pub(crate) metrics: Vec<String>,
}

/// Why an update may not leave: the code and detail for the reply, the text for the node's log.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Box<Failure>,
    pub(crate) text: String,
}

/// Judges an update's file: the declared tensors and nothing else, every value finite, and its change of the parameters
/// that the round began with within the owner's bound. Those are needed only where there is one.
pub(crate) fn check_update(
    path: &Path,
    received: Option<&Path>,
    declaration: &Declaration,
    terms: &Terms,
) -> Result<(), Refusal> {
    let reader = Reader::open(path).map_err(refused)?;
    let differences = declaration.schema.differences(reader.schema());
    if !differences.is_empty() {
        let text = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(Refusal { failure: Box::new(tensors(&differences)), text });
    }
    if reader.description() != declaration.description.as_deref() || !reader.header().is_canonical()
    {
        return Err(denied("the update's file carries more than its tensors"));
    }
    let head = header::encode(&declaration.schema, declaration.description.as_deref());
    let head = head.map_err(|error| refused(error.into()))?;
    let expected = head.len() as u64 + declaration.schema.data_bytes();
    let size = std::fs::metadata(path).map_err(|_| denied("the update's file is gone"))?.len();
    if size != expected {
        return Err(denied("the update's file has another length than its tensors give"));
    }
    if let Some(limit) = terms.maximum_update_bytes
        && size > limit
    {
        let text = format!("the update has {size} bytes, at most {limit} may leave");
        return Err(Refusal::beyond("update_bytes", count(limit), count(size), text));
    }
    reader.check_finite().map_err(refused)?;
    check_norm(&reader, received, terms)
}

/// Takes out of a report what may not leave; tells what was taken.
pub(crate) fn filter_metrics(
    report: &mut Option<MetricsReport>,
    declared: &[String],
    terms: &Terms,
) -> Vec<Warning> {
    let Some(measured) = report else { return Vec::new() };
    if measured.validation_count < terms.minimum_validation_samples {
        *report = None;
        return vec![Warning::MetricWithheld];
    }
    let before = measured.metrics.len();
    measured.metrics.retain(|(name, value)| declared.contains(name) && value.is_finite());
    measured.metrics.truncate(MOST_METRICS);
    let mut warnings = Vec::new();
    if measured.metrics.len() < before {
        warnings.push(Warning::MetricNotDeclared);
    }
    if terms.metrics.apply(&mut measured.metrics) == Altered::Yes {
        warnings.push(Warning::MetricPolicy);
    }
    // Sums are exact, and say all that was rounded or left out.
    if !terms.metrics.are_open() && measured.sums.take().is_some() {
        warnings.push(Warning::MetricPolicy);
    }
    if measured.sums.as_ref().is_some_and(|sums| sums.to_string().len() > LARGEST_SUMS) {
        measured.sums = None;
        warnings.push(Warning::MetricWithheld);
    }
    warnings
}

fn check_norm(reader: &Reader, received: Option<&Path>, terms: &Terms) -> Result<(), Refusal> {
    let Some(limit) = terms.maximum_update_norm else { return Ok(()) };
    let received = received.ok_or_else(|| denied("the parameters that it changes are gone"))?;
    let received = Reader::open(received).map_err(refused)?;
    let norm = reader.l2_distance(&received).map_err(refused)?;
    if norm <= limit {
        return Ok(());
    }
    let text =
        format!("the update changes the model by a norm of {norm}, at most {limit} may leave");
    Err(Refusal::beyond("update_norm", limit, norm, text))
}

impl Refusal {
    /// A bound of the owner's is exceeded.
    fn beyond(bound: &str, limit: f64, requested: f64, text: String) -> Self {
        let detail = Detail::Bound { bound: bound.to_owned(), limit, requested };
        let failure = Failure { code: Code::EgressDenied, detail: Some(detail) };
        Self { failure: Box::new(failure), text }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53, or only shown")]
fn count(bytes: u64) -> f64 {
    bytes as f64
}

fn tensors(differences: &[parameters::schema::Difference]) -> Failure {
    let side = |of: fn(&parameters::schema::Difference) -> Option<&TensorSchema>| {
        differences.iter().filter_map(of).take(MOST_TENSORS).map(tensor_detail).collect()
    };
    let detail = Detail::Tensors {
        expected: side(|difference| difference.expected.as_ref()),
        found: side(|difference| difference.actual.as_ref()),
    };
    Failure { code: Code::EgressDenied, detail: Some(detail) }
}

/// A tensor as a reply may tell of it.
pub(crate) fn tensor_detail(tensor: &TensorSchema) -> TensorDetail {
    TensorDetail {
        name: tensor.name.clone(),
        shape: tensor.shape.iter().map(|length| *length as u64).collect(),
        dtype: tensor.dtype.to_string(),
    }
}

fn denied(text: &str) -> Refusal {
    Refusal { failure: Box::new(Code::EgressDenied.into()), text: text.to_owned() }
}

fn refused(error: parameters::Error) -> Refusal {
    denied(&crate::round_log::chain(&error))
}

/// Metrics in one report.
const MOST_METRICS: usize = 32;
/// Bytes of the sums in one report, as JSON.
const LARGEST_SUMS: usize = 256 << 10;
/// Tensors in one detail.
const MOST_TENSORS: usize = 32;

#[cfg(test)]
mod tests {
    use parameters::{Parameters, Tensor};

    use super::*;

    fn open() -> Terms {
        Terms::of_tests("")
    }

    fn model(values: [f32; 2]) -> Parameters {
        let mut model = Parameters::new();
        model.insert("layers.0.bias", Tensor::from_f32(&[2], &values).unwrap()).unwrap();
        model
    }

    fn check(bytes: &[u8], terms: &Terms) -> Result<(), Refusal> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("update.safetensors");
        std::fs::write(&path, bytes).unwrap();
        let received = folder.path().join("received.safetensors");
        std::fs::write(&received, model([10.0, 10.0]).to_bytes(None).unwrap()).unwrap();
        let declaration = Declaration {
            schema: model([0.0, 0.0]).schema().unwrap(),
            description: None,
            metrics: Vec::new(),
        };
        check_update(&path, Some(&received), &declaration, terms)
    }

    #[test]
    fn exactly_the_declared_tensors_may_leave() {
        let update = model([1.0, 2.0]);
        check(&update.to_bytes(None).unwrap(), &open()).unwrap();
        let mut more = update.clone();
        more.insert("layers.1.bias", Tensor::from_f32(&[1], &[0.0]).unwrap()).unwrap();
        let refusal = check(&more.to_bytes(None).unwrap(), &open()).unwrap_err();
        let Some(Detail::Tensors { expected, found }) = refusal.failure.detail else {
            panic!("the detail names the tensors")
        };
        assert!(expected.is_empty());
        assert_eq!(found[0].name, "layers.1.bias");
    }

    #[test]
    fn a_text_a_trailing_byte_and_a_value_that_is_not_finite_stay() {
        let update = model([1.0, 2.0]);
        assert!(check(&update.to_bytes(Some("rows of patients")).unwrap(), &open()).is_err());
        let mut longer = update.to_bytes(None).unwrap();
        longer.push(0);
        assert!(check(&longer, &open()).is_err());
        assert!(check(&model([f32::NAN, 0.0]).to_bytes(None).unwrap(), &open()).is_err());
    }

    #[test]
    fn a_norm_above_the_bound_is_refused_with_both_numbers() {
        let policy = Terms::of_tests("maximum_update_norm = 1.0");
        let refusal = check(&model([13.0, 14.0]).to_bytes(None).unwrap(), &policy).unwrap_err();
        assert_eq!(
            refusal.failure.detail,
            Some(Detail::Bound { bound: "update_norm".to_owned(), limit: 1.0, requested: 5.0 })
        );
    }

    #[test]
    fn metrics_over_few_rows_and_undeclared_metrics_stay() {
        let report = |count| {
            let metrics = vec![("ACCURACY".to_owned(), 0.9), ("AGE_OF_ANNA".to_owned(), 77.0)];
            Some(MetricsReport { metrics, validation_count: count, sums: None })
        };
        let declared = ["ACCURACY".to_owned()];
        let mut few = report(9);
        assert_eq!(filter_metrics(&mut few, &declared, &open()), [Warning::MetricWithheld]);
        assert_eq!(few, None);
        let mut enough = report(10);
        assert_eq!(filter_metrics(&mut enough, &declared, &open()), [Warning::MetricNotDeclared]);
        assert_eq!(enough.unwrap().metrics, [("ACCURACY".to_owned(), 0.9)]);
    }

    #[test]
    fn of_many_metrics_the_first_thirty_two_leave() {
        let names: Vec<String> = (0..40).map(|number| format!("custom_{number}")).collect();
        let metrics = names.iter().map(|name| (name.clone(), 0.5)).collect();
        let mut report = Some(MetricsReport { metrics, validation_count: 10, sums: None });
        assert_eq!(filter_metrics(&mut report, &names, &open()), [Warning::MetricNotDeclared]);
        let left: Vec<String> = report.unwrap().metrics.into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, names[..32]);
    }

    #[test]
    fn sums_that_are_too_large_stay_and_the_metrics_leave() {
        let report = |length| {
            let sums = Some(serde_json::Value::String("x".repeat(length)));
            let metrics = vec![("ACCURACY".to_owned(), 0.9)];
            Some(MetricsReport { metrics, validation_count: 10, sums })
        };
        let declared = ["ACCURACY".to_owned()];
        // The text stands between two quotes.
        let mut largest = report(LARGEST_SUMS - 2);
        assert!(filter_metrics(&mut largest, &declared, &open()).is_empty());
        assert_eq!(largest, report(LARGEST_SUMS - 2));
        let mut larger = report(LARGEST_SUMS - 1);
        assert_eq!(filter_metrics(&mut larger, &declared, &open()), [Warning::MetricWithheld]);
        let larger = larger.unwrap();
        assert_eq!((larger.metrics.len(), larger.sums), (1, None));
    }
}
