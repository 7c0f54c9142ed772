//! A native training plan: what its TOML says, once it is known to make sense.
//!
//! The layers, the loss and the optimizer stay names with fields here: what they may be is the
//! engine's to say. Everything that can be judged without an engine is judged here.

use protocol::RuntimeKind;

use crate::bundle::{Bundle, PLAN_FILE, is_plain_name};
use crate::document::{Document, Error, Section};

mod component;
mod data;
mod family;
mod findings;
mod input;
mod metrics;
mod model;
mod resolve;
mod scale;
mod schedule;

pub use component::Component;
pub use data::{Data, FEDERATED_SCALE, Features, Missing, Standardize, Task};
pub use family::{Family, FamilyBounds, Outside};
pub use findings::{ColumnMagnitude, Finding};
pub use input::{Encoding, Input, InputError};
pub use metrics::Metrics;
pub use model::{Initialisation, Loss, Model};
pub use resolve::{Lacking, ResolveError, Site, SiteName};
pub use scale::{ColumnScale, Scale};
pub use schedule::{Schedule, ScheduleShape, ScheduleUnit};

/// A native training plan that is consistent in itself.
///
/// # Examples
///
/// ```
/// use training_plan::{Bundle, Plan};
///
/// let text = r#"
/// [plan]
/// name = "breast-cancer-logistic"
/// runtime = "native"
/// [data]
/// task = "binary"
/// target = "diagnosis"
/// classes = ["B", "M"]
/// [model]
/// init = "zeros"
/// layers = [{ dense = { units = 1 } }]
/// [loss]
/// kind = "binary_cross_entropy"
/// [optimizer]
/// kind = "sgd"
/// "#;
/// let bundle = Bundle::native(text, |_| unreachable!("the plan names no other file"))?;
/// let plan = Plan::parse(&bundle)?;
/// assert_eq!(plan.name(), "breast-cancer-logistic");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    name: String,
    data: Data,
    metrics: Metrics,
    model: Model,
    loss: Loss,
    optimizer: Component,
    schedule: Schedule,
}

impl Plan {
    /// Reads the plan of a native bundle.
    ///
    /// # Errors
    ///
    /// The first thing that breaks a rule: unknown keys and words, values out of range, and parts
    /// that do not fit each other. The error names the file, the line, the key and the rule.
    pub fn parse(bundle: &Bundle) -> Result<Self, Error> {
        let text = bundle.file(PLAN_FILE).unwrap_or_default();
        let document = Document::parse(PLAN_FILE, text)?;
        let root = document.root(&SECTIONS)?;
        let plan = root.required_section("plan", &["name", "runtime", "description"])?;
        check_runtime(plan, bundle.runtime())?;
        let data = Data::read(root.required_section("data", data::KEYS)?, bundle)?;
        let metrics = Metrics::read(root.section("metrics", metrics::KEYS)?, data.task())?;
        let model = Model::read(root.required_section("model", model::KEYS)?)?;
        let loss = Loss::read(root.required_any_section("loss")?, &data)?;
        let optimizer = Component::of_kind(root.required_any_section("optimizer")?, &["kind"])?;
        let schedule = Schedule::read(root.section("schedule", schedule::KEYS)?)?;
        let name = plan.required_name("name", LONGEST_NAME)?.to_owned();
        Ok(Self { name, data, metrics, model, loss, optimizer, schedule })
    }

    /// The plan's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the plan reads.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// What the plan measures.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The layers and how they begin.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What training makes small.
    #[must_use]
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// How a step is taken.
    #[must_use]
    pub fn optimizer(&self) -> &Component {
        &self.optimizer
    }

    /// How the learning rate changes.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }
}

/// Lists the files that a plan's text names, so that a caller can read them.
///
/// # Errors
///
/// The text is not TOML, or a named file has no plain name.
pub(crate) fn references(text: &str) -> Result<Vec<String>, Error> {
    let document = Document::parse(PLAN_FILE, text)?;
    let root = document.open_root()?;
    let Some(item) = root.item("data") else { return Ok(Vec::new()) };
    let data = Section::open_any(PLAN_FILE, item)?;
    Ok(scale::file_name(data)?.into_iter().map(str::to_owned).collect())
}

fn check_runtime(plan: Section<'_>, bundled: RuntimeKind) -> Result<(), Error> {
    let kinds = [RuntimeKind::Native, RuntimeKind::Python].map(|kind| (kind.as_str(), kind));
    let said = plan.choice("runtime", &kinds)?.ok_or_else(|| plan.missing("runtime"))?;
    if said == RuntimeKind::Python {
        let error = plan.rule("runtime", "must be \"native\" in a plan that is a TOML file");
        return Err(error.with_hint("a Python plan is a Python file"));
    }
    if said != bundled {
        return Err(
            plan.rule("runtime", format!("must be {:?}, as in the bundle", bundled.as_str()))
        );
    }
    Ok(())
}

/// The sections of a plan.
const SECTIONS: [&str; 7] = ["plan", "data", "metrics", "model", "loss", "optimizer", "schedule"];

/// The most characters of a plan's name.
const LONGEST_NAME: usize = 128;
