//! Dataset summaries.

use super::{Error, MAXIMUM_COLUMNS, limited, parse, short, v1};
use crate::{ColumnSummary, DatasetSummary, PartSummary};

impl TryFrom<v1::DatasetSummary> for DatasetSummary {
    type Error = Error;

    fn try_from(wire: v1::DatasetSummary) -> Result<Self, Error> {
        limited("dataset.tags", wire.tags.len(), 64)?;
        limited("dataset.columns", wire.columns.len(), MAXIMUM_COLUMNS)?;
        limited("dataset.parts", wire.parts.len(), MAXIMUM_PARTS)?;
        let tags = wire
            .tags
            .into_iter()
            .map(|tag| short("dataset.tags", tag, 128))
            .collect::<Result<_, _>>()?;
        let columns = wire.columns.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        let parts = wire.parts.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        let loading_plan = short("dataset.loading_plan", wire.loading_plan, 128)?;
        Ok(Self {
            dataset_id: parse("dataset.dataset_id", &wire.dataset_id)?,
            name: parse("dataset.name", &wire.name)?,
            tags,
            description: short("dataset.description", wire.description, 4096)?,
            kind: short("dataset.kind", wire.kind, 64)?,
            columns,
            row_count: wire.row_count,
            parts,
            loading_plan: (!loading_plan.is_empty()).then_some(loading_plan),
        })
    }
}

impl From<DatasetSummary> for v1::DatasetSummary {
    fn from(summary: DatasetSummary) -> Self {
        Self {
            dataset_id: summary.dataset_id.to_string(),
            name: summary.name.to_string(),
            tags: summary.tags,
            description: summary.description,
            kind: summary.kind,
            columns: summary.columns.into_iter().map(Into::into).collect(),
            row_count: summary.row_count,
            parts: summary.parts.into_iter().map(Into::into).collect(),
            loading_plan: summary.loading_plan.unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Part> for PartSummary {
    type Error = Error;

    fn try_from(wire: v1::Part) -> Result<Self, Error> {
        Ok(Self {
            name: short("part.name", wire.name, 1024)?,
            samples: wire.samples,
            shape: short("part.shape", wire.shape, 256)?,
        })
    }
}

impl From<PartSummary> for v1::Part {
    fn from(part: PartSummary) -> Self {
        Self { name: part.name, samples: part.samples, shape: part.shape }
    }
}

impl TryFrom<v1::Column> for ColumnSummary {
    type Error = Error;

    fn try_from(wire: v1::Column) -> Result<Self, Error> {
        Ok(Self {
            name: short("column.name", wire.name, 1024)?,
            column_type: parse("column.type", &wire.r#type)?,
            missing: wire.missing,
        })
    }
}

impl From<ColumnSummary> for v1::Column {
    fn from(column: ColumnSummary) -> Self {
        Self {
            name: column.name,
            r#type: column.column_type.as_str().to_owned(),
            missing: column.missing,
        }
    }
}

/// How many classes or modalities a dataset may have.
const MAXIMUM_PARTS: usize = 10_000;
