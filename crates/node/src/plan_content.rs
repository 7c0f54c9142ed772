//! What a plan reads and sends, as far as its text tells without running it.

use protocol::RuntimeKind;
use training_plan::plan::{Data, Features, Missing, Standardize};
use training_plan::statistics::{Columns, Query};
use training_plan::{Bundle, Plan, normal};

use crate::administration::{PlanContent, PlanTensor};

/// Looks at a plan's text.
pub(crate) fn of(bundle: &Bundle) -> PlanContent {
    if let Ok(query) = Query::of_bundle(bundle)
        && bundle.runtime() == RuntimeKind::Statistics
    {
        return statistics(&query);
    }
    match Plan::parse(bundle) {
        Ok(plan) => native(&plan),
        Err(_) => PlanContent { packages: normal::imports(bundle), ..PlanContent::default() },
    }
}

fn native(plan: &Plan) -> PlanContent {
    let metrics = plan.metrics().names().iter().map(ToString::to_string);
    PlanContent {
        name: plan.name().to_owned(),
        reads: reads(plan.data()),
        tensors: tensors(plan),
        sends: Vec::new(),
        metrics: std::iter::once("loss".to_owned()).chain(metrics).collect(),
        packages: Vec::new(),
    }
}

fn statistics(query: &Query) -> PlanContent {
    let mut reads = vec![match query.columns() {
        Columns::All => "every numeric column that is not withheld".to_owned(),
        Columns::Named(names) => format!("the columns {}", names.join(", ")),
    }];
    let mut whose = "of all rows".to_owned();
    if let Some(grouping) = query.group_by() {
        reads.push(format!("the column {} for the groups", grouping.column));
        whose = format!("apart for {}", grouping.values.join(", "));
    }
    let measures: Vec<&str> = query.measures().iter().map(|measure| measure.as_str()).collect();
    let mut sends = vec![format!("{} of each column, {whose}", measures.join(", "))];
    sends.extend(query.histograms().iter().map(|(column, edges)| {
        let edges = edges.as_slice();
        let (first, last) = (edges[0], edges[edges.len() - 1]);
        format!("a histogram of {column} with {} bins from {first} to {last}", edges.len() - 1)
    }));
    sends.push("without counts of few patients and what would tell them".to_owned());
    PlanContent { name: "statistics".to_owned(), reads, sends, ..PlanContent::default() }
}

fn reads(data: &Data) -> Vec<String> {
    let mut lines = vec![match data.features() {
        Features::All => "every numeric column that is not withheld".to_owned(),
        Features::Named(names) => format!("the columns {}", names.join(", ")),
    }];
    let classes = match data.classes() {
        [] => String::new(),
        classes => format!(", which is one of {}", classes.join(", ")),
    };
    lines.push(format!("the column {} to predict{classes}", data.target()));
    let categories = data.categories().iter();
    lines.extend(
        categories.map(|(column, values)| format!("{column} as one of {}", values.join(", "))),
    );
    lines.push(match data.missing() {
        Missing::Error => "no row with a missing value: the round ends".to_owned(),
        Missing::Drop => "no row with a missing value: it is left out".to_owned(),
        Missing::Mean => "a mean in place of a missing number".to_owned(),
    });
    if *data.standardize() == Standardize::Local {
        lines.push("the columns' own means and deviations, which stay here".to_owned());
    }
    lines
}

/// The tensors of the model; a first layer's width is that of the columns, which may not be known yet.
fn tensors(plan: &Plan) -> Vec<PlanTensor> {
    let data = plan.data();
    let mut width = match data.features() {
        Features::All => None,
        Features::Named(names) => {
            let widths = names.iter().map(|name| data.categories().get(name).map_or(1, Vec::len));
            Some(widths.sum::<usize>() as u64)
        }
    };
    let mut tensors = Vec::new();
    for (index, layer) in plan.model().layers().iter().enumerate() {
        let mut tensor = |name: &str, shape: Option<Vec<u64>>| {
            tensors.push(PlanTensor { name: format!("layers.{index}.{name}"), shape });
        };
        match layer.name.as_str() {
            "dense" => {
                let units = layer.fields.get("units").and_then(serde_json::Value::as_u64);
                let shape = width.zip(units).map(|(inputs, units)| vec![inputs, units]);
                tensor("weight", shape);
                if layer.fields.get("bias") != Some(&serde_json::Value::Bool(false)) {
                    tensor("bias", units.map(|units| vec![units]));
                }
                width = units;
            }
            "layer_norm" => {
                tensor("scale", width.map(|width| vec![width]));
                tensor("bias", width.map(|width| vec![width]));
            }
            _ => {}
        }
    }
    tensors
}
