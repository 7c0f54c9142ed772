//! The native plan object: one round's model, data and settings.

use std::path::Path;

use engine::{Model, Optimizer};
use protocol::{Code, Detail, Mode};
use serde_json::{Map, Value};
use training_plan::Plan;
use training_plan::arguments::{TrainingArguments, TrainingLength};
use training_plan::plan::{Input, Task};

use super::fit::{self, Parts};
use super::preparation::{Preparation, Prepared};
use super::{tensors, training, validation};
use crate::monitor::interruptibly;
use crate::{
    Assignment, DataGrant, DataSummary, ExportSummary, Failure, Instance, Monitor, TrainingSummary,
    Validated, ValidationOutcome,
};

/// A native plan in one round; each phase adds what the next ones need.
pub(super) struct NativeInstance {
    plan: Plan,
    parts: Parts,
    assignment: Assignment,
    built: Option<Built>,
    loaded: Option<Loaded>,
    prepared: Option<Prepared>,
}

/// What initialising gives.
pub(super) struct Built {
    pub(super) inputs: Vec<Input>,
    pub(super) arguments: TrainingArguments,
    pub(super) optimizer: Optimizer,
    pub(super) settings: Map<String, Value>,
    /// The model before the parameters are loaded into it.
    empty: Option<Model>,
}

/// What loading gives.
struct Loaded {
    model: Model,
    /// The description of the received file, which the exported one carries on.
    description: Option<String>,
}

impl NativeInstance {
    pub(super) fn new(plan: Plan, parts: Parts, assignment: Assignment) -> Self {
        Self { plan, parts, assignment, built: None, loaded: None, prepared: None }
    }

    fn check_memory(&self, needed: u64) -> Result<(), Failure> {
        match self.assignment.memory_limit {
            Some(limit) if needed > limit => {
                let local = format!("{needed} bytes are needed, {limit} are allowed");
                #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
                let (limit, requested) = (limit as f64, needed as f64);
                let bound = "memory_bytes".to_owned();
                Err(Failure::new(Code::LimitsMemory, local).with_detail(Detail::Bound {
                    bound,
                    limit,
                    requested,
                }))
            }
            _ => Ok(()),
        }
    }

    /// The bytes that model, gradients, optimizer and one batch need.
    fn model_bytes(
        &self,
        model: &Model,
        arguments: &TrainingArguments,
        optimizer: &Optimizer,
    ) -> u64 {
        let trains = self.assignment.mode == Mode::Train
            && !matches!(arguments.training().length, TrainingLength::Epochs { epochs: 0, .. });
        let parameters = model.size() as u64 * 4;
        if !trains {
            return parameters;
        }
        let rows = usize::try_from(arguments.loader().batch_size.get()).unwrap_or(usize::MAX);
        model.estimate_memory(rows).saturating_add(optimizer.state_bytes(model.size()))
    }
}

impl Instance for NativeInstance {
    fn declared_metrics(&self) -> Vec<String> {
        let names = self.plan.metrics().names().iter();
        names.map(|metric| metric.name().to_owned()).collect()
    }

    fn initialise(
        &mut self,
        model_args: &Map<String, Value>,
        arguments: &TrainingArguments,
        _monitor: &mut dyn Monitor,
    ) -> Result<(), Failure> {
        if let Some((key, value)) = model_args.iter().next() {
            let rule = "is not taken: a native plan takes no model arguments";
            return Err(argument(Code::PlanInitFailed, &format!("model_args.{key}"), value, rule));
        }
        check_arguments(&self.plan, arguments)?;
        let settings = fit::optimizer_settings(&self.plan, arguments);
        let optimizer = Optimizer::parse(&self.plan.optimizer().name, &settings)
            .map_err(|error| optimizer_failure(&error, &settings))?;
        let inputs = self
            .plan
            .inputs(&self.assignment.columns)
            .map_err(|error| Failure::new(Code::PlanInitFailed, error.to_string()))?;
        let width = inputs.iter().map(Input::width).sum();
        let unfit = |error: engine::description::Error| {
            Failure::new(Code::PlanInitFailed, error.to_string())
        };
        self.check_memory(self.parts.parameter_bytes(width).map_err(unfit)?)?;
        let model = self.parts.model(width).map_err(unfit)?;
        if model.outputs() != self.plan.data().outputs() {
            let local = format!("the model gives {} outputs for a row", model.outputs());
            return Err(Failure::new(Code::PlanInitFailed, local));
        }
        self.check_memory(self.model_bytes(&model, arguments, &optimizer))?;
        let arguments = arguments.clone();
        self.built = Some(Built { inputs, arguments, optimizer, settings, empty: Some(model) });
        Ok(())
    }

    fn load(&mut self, parameters: &Path, monitor: &mut dyn Monitor) -> Result<(), Failure> {
        let built = self.built.as_mut().ok_or_else(|| Failure::out_of_order("loading"))?;
        let mut model = built.empty.take().ok_or_else(|| Failure::out_of_order("loading again"))?;
        let description = interruptibly(monitor, "reading the parameters", |interrupt| {
            tensors::read(parameters, &mut model, interrupt)
        })?;
        self.loaded = Some(Loaded { model, description });
        Ok(())
    }

    fn open_data(
        &mut self,
        grant: &DataGrant<'_>,
        monitor: &mut dyn Monitor,
    ) -> Result<DataSummary, Failure> {
        let out_of_order = || Failure::out_of_order("opening the data");
        let built = self.built.as_ref().ok_or_else(out_of_order)?;
        let model = &self.loaded.as_ref().ok_or_else(out_of_order)?.model;
        let cells = (built.inputs.len() as u64 + 1).saturating_mul(CELL_BYTES);
        let row = cells.saturating_add(model.inputs() as u64 * 4);
        let data = grant.table()?.rows.saturating_mul(row);
        let model = self.model_bytes(model, &built.arguments, &built.optimizer);
        self.check_memory(data.saturating_add(model))?;
        let preparation = Preparation {
            plan: &self.plan,
            inputs: &built.inputs,
            assignment: &self.assignment,
            validation: built.arguments.validation(),
            seed: training::seed(&built.arguments, &self.assignment),
        };
        let prepared = interruptibly(monitor, "opening the data", |interrupt| {
            preparation.run(grant, interrupt)
        })?;
        let summary = prepared.summary.clone();
        self.prepared = Some(prepared);
        Ok(summary)
    }

    fn validate(
        &mut self,
        validated: Validated,
        monitor: &mut dyn Monitor,
    ) -> Result<ValidationOutcome, Failure> {
        let (Some(built), Some(loaded), Some(prepared)) =
            (&self.built, &self.loaded, &self.prepared)
        else {
            return Err(Failure::out_of_order("validation"));
        };
        let pass = validation::Pass {
            plan: &self.plan,
            loss: &self.parts.loss,
            model: &loaded.model,
            data: prepared,
            arguments: built.arguments.validation(),
        };
        pass.run(validated, monitor)
    }

    fn train(&mut self, monitor: &mut dyn Monitor) -> Result<TrainingSummary, Failure> {
        let (Some(built), Some(loaded), Some(prepared)) =
            (&self.built, self.loaded.take(), &self.prepared)
        else {
            return Err(Failure::out_of_order("training"));
        };
        let course = training::Course {
            plan: &self.plan,
            loss: &self.parts.loss,
            built,
            assignment: &self.assignment,
            data: prepared,
        };
        let (model, summary) = course.run(loaded.model, monitor)?;
        self.loaded = Some(Loaded { model, ..loaded });
        Ok(summary)
    }

    fn export(&mut self, path: &Path, monitor: &mut dyn Monitor) -> Result<ExportSummary, Failure> {
        let loaded = self.loaded.as_ref().ok_or_else(|| Failure::out_of_order("export"))?;
        interruptibly(monitor, "writing the update", |interrupt| {
            tensors::write(&loaded.model, loaded.description.as_deref(), path, interrupt)
        })
    }
}

/// What only a plan can judge of the arguments.
fn check_arguments(plan: &Plan, arguments: &TrainingArguments) -> Result<(), Failure> {
    let code = Code::ArgumentsInvalid;
    let validation = arguments.validation();
    if validation.stratify && plan.data().task() == Task::Regression {
        let rule = "needs a plan with classes";
        return Err(argument(code, "stratify", &Value::Bool(true), rule));
    }
    match validation.metric {
        Some(metric) if metric.task() != plan.metrics().default().task() => {
            let rule = "does not judge the task of this plan";
            Err(argument(code, "test_metric", &Value::from(metric.name()), rule))
        }
        _ => Ok(()),
    }
}

/// The plan's own settings were judged when it was instantiated, so the request's are wrong.
fn optimizer_failure(error: &engine::description::Error, settings: &Map<String, Value>) -> Failure {
    let (key, rule) = match error {
        engine::description::Error::UnknownKey { key, .. } => {
            (key.as_str(), "is not taken by the plan's optimizer".to_owned())
        }
        engine::description::Error::Missing { key, rule, .. }
        | engine::description::Error::Invalid { key, rule, .. } => (*key, rule.clone()),
        _ => ("", error.to_string()),
    };
    let value = settings.get(key).unwrap_or(&Value::Null);
    argument(Code::ArgumentsInvalid, &format!("optimizer_args.{key}"), value, &rule)
}

fn argument(code: Code, key: &str, value: &Value, rule: &str) -> Failure {
    let detail =
        Detail::Argument { key: key.to_owned(), value: value.clone(), rule: rule.to_owned() };
    Failure::new(code, format!("{key} {rule}")).with_detail(detail)
}

/// A cell as it is read, and once more while it is encoded.
const CELL_BYTES: u64 = 16;
