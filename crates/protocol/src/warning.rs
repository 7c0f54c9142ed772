//! Coded warnings: what a reply may say beside its outcome.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! warnings {
    ($($variant:ident, $text:literal, $sentence:literal;)*) => {
        /// Something that did not stop a round but that whoever asked should know.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Warning {
            $(#[doc = concat!("`", $text, "`: ", $sentence)] $variant,)*
        }

        impl Warning {
            /// Every warning.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The warning's code as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The fixed public sentence.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

warnings! {
    ValidationSplitUnused, "validation.split_unused", "A part of the data is set aside for validation, but no validation is asked for.";
    ValidationNoSplit, "validation.no_split", "Validation is asked for, but no part of the data is set aside for it.";
    ValidationSplitChanges, "validation.split_changes", "A new split each round lets training see validation rows over the rounds.";
    ValidationEmpty, "validation.empty", "The part of the data set aside for validation has no row.";
    MetricSingleClass, "metric.single_class", "A metric needs two classes and the validation rows have one.";
    MetricFailed, "metric.failed", "A metric could not be computed.";
    MetricWithheld, "metric.withheld", "Metrics were withheld because too few rows were validated.";
    MetricPolicy, "metric.policy", "The node's policy withheld metrics, or made them less exact.";
    MetricNotDeclared, "metric.not_declared", "A metric was withheld because the plan does not declare it.";
    ScalarsDropped, "scalars.dropped", "Some scalars were not sent because the round made too many.";
    GpuMissing, "gpu.missing", "The round ran on the processor because the node has no usable GPU.";
    GpuNumber, "gpu.number", "The GPU number that the node names does not exist; the first was used.";
    GpuForced, "gpu.forced", "The node runs every round on its GPU, although the request did not ask for it.";
    GpuUnused, "gpu.unused", "The request asked for a GPU, but the node does not offer one.";
    PlanUnscaled, "plan.unscaled", "The plan scales no feature and the features differ by more than three decades.";
    DataRowsDropped, "data.rows_dropped", "Rows with missing values were left out.";
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A text is not a warning of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown warning")]
pub struct UnknownWarning;

impl FromStr for Warning {
    type Err = UnknownWarning;

    fn from_str(text: &str) -> Result<Self, UnknownWarning> {
        Self::ALL.iter().copied().find(|warning| warning.as_str() == text).ok_or(UnknownWarning)
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Warning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
