//! Fitting a plan to the engine: its layers, loss and optimizer, and what is wrong with them.

use engine::{
    Initialisation, LayerDescription, Loss, Model, ModelDescription, Optimizer, Schedule,
};
use serde_json::{Map, Value, json};
use training_plan::arguments::TrainingArguments;
use training_plan::document;
use training_plan::plan::{Component, ScheduleShape, ScheduleUnit};
use training_plan::{Bundle, Plan, plan};

/// The parts of a plan that the engine knows.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) layers: Vec<LayerDescription>,
    pub(super) initialisation: Initialisation,
    pub(super) loss: Loss,
}

impl Parts {
    /// Has the engine judge the layers, the loss and the optimizer of a plan.
    pub(super) fn of(plan: &Plan) -> Result<Self, document::Error> {
        let layers = plan.model().layers().iter().map(|layer| {
            LayerDescription::parse(&layer.name, &layer.fields)
                .map_err(|error| refused(layer, &error))
        });
        let layers = layers.collect::<Result<_, _>>()?;
        let optimizer = plan.optimizer();
        Optimizer::parse(&optimizer.name, &optimizer.fields)
            .map_err(|error| refused(optimizer, &error))?;
        Ok(Self { layers, initialisation: initialisation(plan), loss: loss(plan)? })
    }

    /// The bytes of the parameters of the model for so many inputs, which need not be built for it.
    pub(super) fn parameter_bytes(&self, inputs: usize) -> Result<u64, engine::description::Error> {
        // With no row, the estimate is that of the parameters and their gradients.
        Ok(Model::estimate_memory_of(&self.description(inputs), 0)? / 2)
    }

    fn description(&self, inputs: usize) -> ModelDescription {
        let (initialisation, layers) = (self.initialisation, self.layers.clone());
        ModelDescription { inputs, initialisation, layers }
    }

    /// Builds the model for so many inputs.
    pub(super) fn model(&self, inputs: usize) -> Result<Model, engine::description::Error> {
        let model = Model::new(&self.description(inputs))?;
        self.loss.check_outputs(model.outputs())?;
        Ok(model)
    }
}

/// Judges a whole plan: what `plan check` and a node's instantiation find wrong.
///
/// Without the columns of a dataset, a plan for `features = "*"` is judged as if it had one input.
///
/// # Errors
///
/// The first thing that breaks a rule, with its line, key and rule.
pub fn check_plan(bundle: &Bundle) -> Result<Plan, document::Error> {
    let plan = Plan::parse(bundle)?;
    let parts = Parts::of(&plan)?;
    let inputs = match plan.data().features() {
        plan::Features::All => 1,
        plan::Features::Named(names) => {
            let mut columns = names.clone();
            columns.sort_unstable();
            // A named feature was judged with the plan, so its inputs are always known.
            plan.inputs(&columns).map_or(1, |inputs| inputs.iter().map(plan::Input::width).sum())
        }
    };
    let model = parts.model(inputs).map_err(|error| shape_error(&plan, &error))?;
    let outputs = plan.data().outputs();
    if model.outputs() == outputs {
        return Ok(plan);
    }
    let last = plan.model().layers().last().expect("a plan has at least one layer");
    let rule = format!("must give {outputs} outputs for this task, gives {}", model.outputs());
    Err(last.refused(rule))
}

/// The error of a model whose layers do not fit, at the line of the layer.
fn shape_error(plan: &Plan, error: &engine::description::Error) -> document::Error {
    let layers = plan.model().layers();
    let last = layers.last().expect("a plan has at least one layer");
    match error {
        engine::description::Error::Shape { index, rule, .. } => {
            layers.get(*index).unwrap_or(last).refused(rule.clone())
        }
        error => last.refused(format!("does not fit: {error}")),
    }
}

fn refused(component: &Component, error: &engine::description::Error) -> document::Error {
    let refused = component.refused(format!("is refused: {error}"));
    match error.hint() {
        Some(hint) => refused.with_hint(hint),
        None => refused,
    }
}

fn initialisation(plan: &Plan) -> Initialisation {
    match plan.model().init() {
        plan::Initialisation::Zeros => Initialisation::Zeros,
        plan::Initialisation::Uniform => Initialisation::Uniform,
        plan::Initialisation::Normal => Initialisation::Normal,
        plan::Initialisation::Xavier => Initialisation::Xavier,
        plan::Initialisation::He => Initialisation::He,
    }
}

fn loss(plan: &Plan) -> Result<Loss, document::Error> {
    let component = plan.loss().component();
    let mut fields = component.fields.clone();
    if let Some(weights) = plan.loss().class_weights() {
        fields.insert("class_weights".to_owned(), json!(weights));
    }
    Loss::parse(&component.name, &fields).map_err(|error| refused(component, &error))
}

/// The optimizer's settings: those of the plan, and over them those of the request.
pub(super) fn optimizer_settings(plan: &Plan, arguments: &TrainingArguments) -> Map<String, Value> {
    let mut settings = plan.optimizer().fields.clone();
    if let Some(rate) = arguments.optimizer().learning_rate {
        settings.insert("lr".to_owned(), json!(rate));
    }
    for (key, value) in &arguments.optimizer().rest {
        settings.insert(key.clone(), value.clone());
    }
    settings
}

/// How many optimizer steps an epoch and a round of this node have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub(super) epoch: u64,
    pub(super) round: u64,
}

/// Turns a plan's schedule, counted in rounds or epochs, into the engine's, counted in steps.
pub(super) fn schedule(plan: &Plan, steps: Steps) -> Result<Schedule, engine::description::Error> {
    let schedule = plan.schedule();
    let unit = match schedule.unit() {
        ScheduleUnit::Round => steps.round,
        ScheduleUnit::Epoch => steps.epoch,
        ScheduleUnit::Step => 1,
    };
    let counted = |units: u64| units.saturating_mul(unit).clamp(1, MOST_STEPS);
    let (kind, mut fields) = match schedule.shape() {
        ScheduleShape::Constant => ("constant", Map::new()),
        ScheduleShape::Step { every, factor } => (
            "step",
            Map::from_iter([
                ("every".to_owned(), json!(counted(every))),
                ("factor".to_owned(), json!(factor)),
            ]),
        ),
        ScheduleShape::Cosine { length, minimum } => (
            "cosine",
            Map::from_iter([
                ("steps".to_owned(), json!(counted(length))),
                ("minimum".to_owned(), json!(minimum)),
            ]),
        ),
    };
    if schedule.warm_up() > 0 {
        fields.insert("warm_up".to_owned(), json!(counted(schedule.warm_up())));
    }
    Schedule::parse(kind, &fields)
}

/// The engine counts steps in 32 bits or more; no training takes as many.
const MOST_STEPS: u64 = i32::MAX as u64;
