//! A family of native plans: the same inputs, outputs and loss, with layers inside bounds.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::data::{Data, Features, Missing, Standardize};
use super::{Component, Plan};

/// Plans that read, predict and measure the same, and differ only in layers, start and steps.
///
/// It is complete in itself: whether a plan belongs to it needs no other plan. How parameters begin, how the learning
/// rate changes and the optimizer's numbers are free.
///
/// # Examples
///
/// ```
/// use training_plan::plan::{Family, FamilyBounds};
/// use training_plan::{Bundle, Plan};
///
/// let text = |units: u32| format!(r#"
/// plan = {{ name = "p", runtime = "native" }}
/// data = {{ task = "binary", target = "y", classes = ["a", "b"] }}
/// model = {{ layers = [{{ dense = {{ units = {units} }} }}, "relu", {{ dense = {{ units = 1 }} }}] }}
/// loss = {{ kind = "binary_cross_entropy" }}
/// optimizer = {{ kind = "sgd" }}"#);
/// let plan = |units| -> Result<Plan, Box<dyn std::error::Error>> {
///     Ok(Plan::parse(&Bundle::native(&text(units), |_| unreachable!())?)?)
/// };
/// let bounds = FamilyBounds { most_units: Some(16), ..FamilyBounds::default() };
/// let family = Family::of(&plan(8)?, bounds);
/// assert!(family.judge(&plan(16)?).is_empty());
/// assert_eq!(family.judge(&plan(17)?)[0].key, "model.layers[0].dense.units");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Family {
    data: Json,
    loss: Json,
    metrics: Vec<String>,
    layers: Vec<String>,
    most_layers: u64,
    most_units: u64,
    optimizers: Vec<String>,
}

/// What the plans of a family may differ in; what is absent is as in the plan that it is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyBounds {
    /// The kinds of layers.
    pub layers: Option<Vec<String>>,
    /// The most layers.
    pub most_layers: Option<u64>,
    /// The most units of a layer.
    pub most_units: Option<u64>,
    /// The kinds of optimizers.
    pub optimizers: Option<Vec<String>>,
}

/// Something that puts a plan outside of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The key of the plan.
    pub key: String,
    /// The rule, as a sentence whose subject is the key.
    pub rule: String,
}

impl Family {
    /// The family of a plan: everything that `bounds` does not say is as in the plan.
    #[must_use]
    pub fn of(plan: &Plan, bounds: FamilyBounds) -> Self {
        let layers = plan.model().layers();
        let kinds = || distinct(layers.iter().map(|layer| layer.name.clone()));
        let widest = || layers.iter().filter_map(units).max().unwrap_or(0);
        Self {
            data: data(plan.data()),
            loss: loss(plan),
            metrics: metrics(plan),
            layers: bounds.layers.unwrap_or_else(kinds),
            most_layers: bounds.most_layers.unwrap_or(layers.len() as u64),
            most_units: bounds.most_units.unwrap_or_else(widest),
            optimizers: bounds.optimizers.unwrap_or_else(|| vec![plan.optimizer().name.clone()]),
        }
    }

    /// Everything by which a plan is outside; nothing for one that belongs to the family.
    #[must_use]
    pub fn judge(&self, plan: &Plan) -> Vec<Outside> {
        let mut outside = differences("data", &self.data, &data(plan.data()));
        outside.extend(differences("loss", &self.loss, &loss(plan)));
        for metric in metrics(plan).iter().filter(|metric| !self.metrics.contains(metric)) {
            let rule = format!("must not hold {metric}, which the family does not measure");
            outside.push(Outside { key: "metrics.names".to_owned(), rule });
        }
        self.judge_layers(plan, &mut outside);
        let optimizer = plan.optimizer();
        if !self.optimizers.contains(&optimizer.name) {
            let rule = format!("must be one of {}", self.optimizers.join(", "));
            outside.push(Outside { key: "optimizer.kind".to_owned(), rule });
        }
        outside
    }

    fn judge_layers(&self, plan: &Plan, outside: &mut Vec<Outside>) {
        let layers = plan.model().layers();
        if layers.len() as u64 > self.most_layers {
            let rule =
                format!("must hold at most {} layers, found {}", self.most_layers, layers.len());
            outside.push(Outside { key: "model.layers".to_owned(), rule });
        }
        for layer in layers {
            if !self.layers.contains(&layer.name) {
                let rule = format!("must be one of {}", self.layers.join(", "));
                outside.push(Outside { key: layer.key.clone(), rule });
            }
            match (layer.fields.get("units"), units(layer)) {
                (None, _) => {}
                (Some(_), Some(units)) if units <= self.most_units => {}
                (Some(found), _) => {
                    let rule = format!("must be at most {}, found {found}", self.most_units);
                    outside.push(Outside { key: format!("{}.units", layer.key), rule });
                }
            }
        }
    }

    /// The bounds in words, for people: what may differ.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!(
            "at most {} layers of {}, at most {} units each, optimizers {}",
            self.most_layers,
            self.layers.join(", "),
            self.most_units,
            self.optimizers.join(", ")
        )
    }
}

/// The keys of two tables that differ.
fn differences(place: &str, wanted: &Json, found: &Json) -> Vec<Outside> {
    let (Json::Object(wanted), Json::Object(found)) = (wanted, found) else { return Vec::new() };
    let differing = wanted.keys().filter(|key| wanted.get(*key) != found.get(*key));
    let added = found.keys().filter(|key| !wanted.contains_key(*key));
    let rule = "must be as in the plan that the family was made from";
    let outside = |key: &String| Outside { key: format!("{place}.{key}"), rule: rule.to_owned() };
    differing.chain(added).map(outside).collect()
}

/// Everything about what a plan reads.
fn data(data: &Data) -> Json {
    let missing = match data.missing() {
        Missing::Error => "error",
        Missing::Drop => "drop",
        Missing::Mean => "mean",
    };
    json!({
        "task": data.task().as_str(),
        "target": data.target(),
        "classes": data.classes(),
        "features": match data.features() {
            Features::All => json!("*"),
            Features::Named(names) => json!(names),
        },
        "categories": data.categories(),
        "missing": missing,
        "standardize": standardize(data.standardize()),
    })
}

fn standardize(standardize: &Standardize) -> Json {
    match standardize {
        Standardize::Declared(scale) => {
            let columns = scale
                .columns()
                .map(|(name, scale)| (name.to_owned(), json!([scale.mean, scale.deviation])));
            Json::Object(columns.collect())
        }
        other => json!(format!("{other:?}").to_lowercase()),
    }
}

fn loss(plan: &Plan) -> Json {
    let component = plan.loss().component();
    json!({
        "kind": component.name,
        "fields": component.fields,
        "class_weights": plan.loss().class_weights(),
    })
}

fn metrics(plan: &Plan) -> Vec<String> {
    plan.metrics().names().iter().map(ToString::to_string).collect()
}

fn units(layer: &Component) -> Option<u64> {
    layer.fields.get("units").and_then(Json::as_u64)
}

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}
