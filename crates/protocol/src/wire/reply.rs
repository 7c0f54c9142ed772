//! Train replies.

use super::{
    Error, MAXIMUM_JSON, MAXIMUM_METRICS, limited, non_empty, object_text, parse, parse_object,
    require, short, v1,
};
use crate::{Code, MetricsReport, Phase, Timing, TrainReply};

impl TryFrom<v1::TrainReply> for TrainReply {
    type Error = Error;

    fn try_from(wire: v1::TrainReply) -> Result<Self, Error> {
        limited("warnings", wire.warnings.len(), 64)?;
        let code: Code = parse("code", &wire.code)?;
        if wire.success != code.is_ok() {
            return Err(Error::new("success", "says the same as the code"));
        }
        Ok(Self {
            round_id: parse("round_id", &wire.round_id)?,
            experiment_id: parse("experiment_id", &wire.experiment_id)?,
            round: wire.round,
            node_id: parse("node_id", &wire.node_id)?,
            researcher_id: parse("researcher_id", &wire.researcher_id)?,
            dataset_id: parse("dataset_id", &wire.dataset_id)?,
            code,
            correlation_id: parse("correlation_id", &wire.correlation_id)?,
            detail: detail(&wire.detail_json)?,
            warnings: wire
                .warnings
                .iter()
                .map(|warning| parse("warnings", warning))
                .collect::<Result<_, _>>()?,
            timing: require("timing", wire.timing)?.try_into()?,
            update: wire.update.map(TryInto::try_into).transpose()?,
            sample_count: wire.sample_count,
            metrics_before: wire.metrics_before.map(TryInto::try_into).transpose()?,
            metrics_after: wire.metrics_after.map(TryInto::try_into).transpose()?,
            optimizer_args: parse_object("optimizer_args", &wire.optimizer_args_json)?,
            auxiliary_state: wire.auxiliary_state.map(TryInto::try_into).transpose()?,
            state_id: non_empty(short("state_id", wire.state_id, 256)?),
        })
    }
}

fn detail(text: &str) -> Result<Option<crate::Detail>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > MAXIMUM_JSON {
        return Err(Error::new("detail", format!("has at most {MAXIMUM_JSON} bytes")));
    }
    serde_json::from_str(text)
        .map(Some)
        .map_err(|_| Error::new("detail", "is one of the typed details"))
}

impl From<TrainReply> for v1::TrainReply {
    fn from(reply: TrainReply) -> Self {
        let detail = reply.detail.as_ref().map(|detail| {
            serde_json::to_string(detail).expect("a typed detail can always be written")
        });
        Self {
            round_id: reply.round_id.to_string(),
            experiment_id: reply.experiment_id.to_string(),
            round: reply.round,
            node_id: reply.node_id.to_string(),
            researcher_id: reply.researcher_id.to_string(),
            dataset_id: reply.dataset_id.to_string(),
            success: reply.success(),
            code: reply.code.to_string(),
            message: reply.message().to_owned(),
            correlation_id: reply.correlation_id.to_string(),
            detail_json: detail.unwrap_or_default(),
            warnings: reply.warnings.iter().map(ToString::to_string).collect(),
            timing: Some(reply.timing.into()),
            update: reply.update.map(Into::into),
            sample_count: reply.sample_count,
            metrics_before: reply.metrics_before.map(Into::into),
            metrics_after: reply.metrics_after.map(Into::into),
            optimizer_args_json: object_text(&reply.optimizer_args),
            auxiliary_state: reply.auxiliary_state.map(Into::into),
            state_id: reply.state_id.unwrap_or_default(),
            update_bytes: Vec::new(),
        }
    }
}

impl TryFrom<v1::Timing> for Timing {
    type Error = Error;

    fn try_from(wire: v1::Timing) -> Result<Self, Error> {
        limited("timing.phases", wire.phases.len(), Phase::ALL.len())?;
        let phases = wire
            .phases
            .into_iter()
            .map(|time| {
                Ok((parse("timing.phase", &time.phase)?, seconds("timing.phases", time.seconds)?))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            rtime_training: seconds("timing.rtime_training", wire.rtime_training)?,
            ptime_training: seconds("timing.ptime_training", wire.ptime_training)?,
            phases,
        })
    }
}

impl From<Timing> for v1::Timing {
    fn from(timing: Timing) -> Self {
        Self {
            rtime_training: timing.rtime_training,
            ptime_training: timing.ptime_training,
            phases: timing
                .phases
                .into_iter()
                .map(|(phase, seconds)| v1::PhaseTime { phase: phase.to_string(), seconds })
                .collect(),
        }
    }
}

impl TryFrom<v1::MetricsReport> for MetricsReport {
    type Error = Error;

    fn try_from(wire: v1::MetricsReport) -> Result<Self, Error> {
        let sums = match non_empty(wire.sums_json) {
            Some(text) => Some(parse_object("metrics.sums", &text)?.into()),
            None => None,
        };
        Ok(Self {
            metrics: metrics("metrics", wire.metrics)?,
            validation_count: wire.validation_count,
            sums,
        })
    }
}

impl From<MetricsReport> for v1::MetricsReport {
    fn from(report: MetricsReport) -> Self {
        Self {
            metrics: metrics_to_wire(report.metrics),
            validation_count: report.validation_count,
            sums_json: report.sums.map(|sums| sums.to_string()).unwrap_or_default(),
        }
    }
}

pub(super) fn metrics(
    field: &'static str,
    wire: Vec<v1::Metric>,
) -> Result<Vec<(String, f64)>, Error> {
    limited(field, wire.len(), MAXIMUM_METRICS)?;
    wire.into_iter()
        .map(|metric| {
            if !metric.value.is_finite() {
                return Err(Error::new(field, "holds finite values"));
            }
            Ok((short(field, metric.name, 128)?, metric.value))
        })
        .collect()
}

pub(super) fn metrics_to_wire(metrics: Vec<(String, f64)>) -> Vec<v1::Metric> {
    metrics.into_iter().map(|(name, value)| v1::Metric { name, value }).collect()
}

fn seconds(field: &'static str, value: f64) -> Result<f64, Error> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(Error::new(field, "is a finite number of seconds, not negative"))
    }
}
