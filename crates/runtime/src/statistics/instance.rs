//! A query in one round.

use std::path::Path;

use parameters::{Parameters, Reader};
use protocol::{Code, Detail, Digest, Mode};
use serde_json::{Map, Value};
use training_plan::arguments::TrainingArguments;
use training_plan::statistics::{Layout, Measure, Query};

use super::rows::Rows;
use super::{Cohort, StatisticsTerms, answer, write};
use crate::failure::with_causes;
use crate::monitor::interruptibly;
use crate::native::mismatch;
use crate::{
    Assignment, DataGrant, DataSummary, ExportSummary, Failure, Instance, Monitor, TrainingSummary,
    Validated, ValidationOutcome,
};

/// A query; each phase adds what the next ones need.
pub(super) struct StatisticsInstance {
    query: Query,
    assignment: Assignment,
    terms: StatisticsTerms,
    layout: Option<Layout>,
    rows: Option<Rows>,
    cohorts: Option<Vec<Cohort>>,
    answer: Option<Parameters>,
}

impl StatisticsInstance {
    pub(super) fn new(query: Query, assignment: Assignment, terms: StatisticsTerms) -> Self {
        Self { query, assignment, terms, layout: None, rows: None, cohorts: None, answer: None }
    }

    /// The bytes of the columns, of the groups' rows and of the answer.
    fn check_memory(&self, layout: &Layout, rows: u64) -> Result<(), Failure> {
        let columns = layout.columns().len() as u64;
        let data = rows.saturating_mul(columns.saturating_mul(8).saturating_add(ROW_BYTES));
        let needed = data.saturating_add(layout.schema().data_bytes().saturating_mul(2));
        match self.assignment.memory_limit {
            Some(limit) if needed > limit => {
                let local = format!("{needed} bytes are needed, {limit} are allowed");
                #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
                let (limit, requested) = (limit as f64, needed as f64);
                let bound = "memory_bytes".to_owned();
                let detail = Detail::Bound { bound, limit, requested };
                Err(Failure::new(Code::LimitsMemory, local).with_detail(detail))
            }
            _ => Ok(()),
        }
    }

    /// A smallest or a largest value is some patient's own.
    fn check_terms(&self) -> Result<(), Failure> {
        let denied = [Measure::Minimum, Measure::Maximum].into_iter();
        let Some(measure) = denied.into_iter().find(|measure| self.query.asks(*measure)) else {
            return Ok(());
        };
        if self.terms.extremes {
            return Ok(());
        }
        let rule = "is not allowed by the node's policy (statistics_extremes)";
        Err(argument(Code::PolicyDenied, "measures", &Value::from(measure.as_str()), rule))
    }
}

impl Instance for StatisticsInstance {
    fn declared_metrics(&self) -> Vec<String> {
        Vec::new()
    }

    fn cohorts(&self) -> Option<&[Cohort]> {
        self.cohorts.as_deref()
    }

    fn initialise(
        &mut self,
        model_args: &Map<String, Value>,
        arguments: &TrainingArguments,
        _monitor: &mut dyn Monitor,
    ) -> Result<(), Failure> {
        if let Some((key, value)) = model_args.iter().next() {
            let rule = "is not taken: statistics have no model";
            return Err(argument(Code::PlanInitFailed, &format!("model_args.{key}"), value, rule));
        }
        check_arguments(arguments)?;
        if self.assignment.mode != Mode::Train {
            let local = "statistics are asked for in mode train";
            return Err(Failure::new(Code::PlanInitFailed, local));
        }
        let layout = Layout::new(self.query.clone(), self.assignment.columns.clone())
            .map_err(|error| Failure::new(Code::PlanInitFailed, with_causes(&error)))?;
        self.check_memory(&layout, 0)?;
        self.layout = Some(layout);
        Ok(())
    }

    fn load(&mut self, parameters: &Path, _monitor: &mut dyn Monitor) -> Result<(), Failure> {
        let layout = self.layout.as_ref().ok_or_else(|| Failure::out_of_order("loading"))?;
        let invalid = |error: parameters::Error| match &error {
            parameters::Error::Io { .. } => {
                Failure::new(Code::ParametersUnavailable, with_causes(&error))
            }
            _ => Failure::new(Code::ParametersInvalid, with_causes(&error)),
        };
        let reader = Reader::open(parameters).map_err(invalid)?;
        let differences = layout.schema().differences(reader.schema());
        if !differences.is_empty() {
            return Err(mismatch(&differences));
        }
        // The answer carries the text on, and what it says must be what was asked.
        if reader.description() != Some(layout.description().as_str()) {
            let local = "the file describes another query, or other columns";
            return Err(Failure::new(Code::ParametersInvalid, local));
        }
        Ok(())
    }

    fn open_data(
        &mut self,
        grant: &DataGrant<'_>,
        monitor: &mut dyn Monitor,
    ) -> Result<DataSummary, Failure> {
        let layout =
            self.layout.as_ref().ok_or_else(|| Failure::out_of_order("opening the data"))?;
        self.check_terms()?;
        self.check_memory(layout, grant.table()?.rows)?;
        let least = self.terms.minimum_count;
        let rows = interruptibly(monitor, "opening the data", |interrupt| {
            Rows::read(layout, grant, least, interrupt)
        })?;
        let plan = grant.loading_plan.map(|plan| plan.plan.reference()).unwrap_or_default();
        let data = format!("{} {plan}", self.assignment.dataset_digest);
        self.cohorts = Some(rows.cohorts(Digest::of(data.as_bytes())));
        let count = rows.table.rows() as u64;
        let excluded = rows.excluded;
        self.rows = Some(rows);
        Ok(DataSummary { rows: count, train: count, excluded, ..DataSummary::default() })
    }

    fn validate(
        &mut self,
        _validated: Validated,
        _monitor: &mut dyn Monitor,
    ) -> Result<ValidationOutcome, Failure> {
        Ok(ValidationOutcome::default())
    }

    fn train(&mut self, monitor: &mut dyn Monitor) -> Result<TrainingSummary, Failure> {
        let (Some(layout), Some(rows)) = (&self.layout, &self.rows) else {
            return Err(Failure::out_of_order("computing"));
        };
        let answer = interruptibly(monitor, "computing the statistics", |interrupt| {
            answer::answer(layout, rows, interrupt)
        })?;
        let summary =
            TrainingSummary { sample_count: answer.told_rows, ..TrainingSummary::default() };
        self.answer = Some(answer.parameters);
        Ok(summary)
    }

    fn export(
        &mut self,
        path: &Path,
        _monitor: &mut dyn Monitor,
    ) -> Result<ExportSummary, Failure> {
        let (Some(layout), Some(answer)) = (&self.layout, &self.answer) else {
            return Err(Failure::out_of_order("export"));
        };
        write(answer, &layout.description(), path)
            .map_err(|error| Failure::new(Code::PlanExportFailed, with_causes(&error)))
    }
}

/// Statistics are of all rows, once: nothing that training is told makes sense for them.
fn check_arguments(arguments: &TrainingArguments) -> Result<(), Failure> {
    let (given, default) = (arguments.to_json(), TrainingArguments::default().to_json());
    let (Some(given), Some(default)) = (given.as_object(), default.as_object()) else {
        return Ok(());
    };
    match given.iter().find(|(key, value)| default.get(*key) != Some(value)) {
        Some((key, value)) => {
            let rule = "is not taken: statistics do not train";
            Err(argument(Code::ArgumentsInvalid, key, value, rule))
        }
        None => Ok(()),
    }
}

fn argument(code: Code, key: &str, value: &Value, rule: &str) -> Failure {
    let detail =
        Detail::Argument { key: key.to_owned(), value: value.clone(), rule: rule.to_owned() };
    Failure::new(code, format!("{key} {rule}")).with_detail(detail)
}

/// A row's group, its patient, and its places in lists.
const ROW_BYTES: u64 = 64;
