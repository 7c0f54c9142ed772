//! Resolving features against the selected datasets, and what `plan check` warns of.

use std::collections::BTreeMap;

use protocol::{ColumnSummary, ColumnType, DatasetSummary, RuntimeKind};
use training_plan::plan::{ColumnMagnitude, Site};
use training_plan::{Bundle, Plan};

fn plan(data: &str) -> Plan {
    let text = format!(
        "[plan]\nname = \"p\"\nruntime = \"native\"\n[data]\ntarget = \"y\"\n{data}\n[model]\n\
         layers = [{{ dense = {{ units = 1 }} }}]\n[optimizer]\nkind = \"sgd\"\n"
    );
    let scale = "a = { mean = 0, deviation = 1 }\n";
    let files = [("plan.toml", text.as_str()), ("scale.toml", scale)];
    let files: BTreeMap<_, _> =
        files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let bundle = Bundle::new(RuntimeKind::Native, files).expect("the files are plain");
    Plan::parse(&bundle).expect("the plan is right")
}

fn binary(data: &str) -> Plan {
    plan(&format!(
        "task = \"binary\"\nclasses = [\"0\", \"1\"]\n{data}\n[loss]\nkind = \"binary_cross_entropy\""
    ))
}

fn site(node: &str, columns: &[(&str, ColumnType)]) -> Site {
    let columns = columns.iter().map(|(name, column_type)| ColumnSummary {
        name: (*name).to_owned(),
        column_type: *column_type,
        missing: Some(0),
    });
    Site {
        node: node.parse().expect("is a name"),
        dataset: DatasetSummary {
            dataset_id: "0197f3a0-0000-7000-8000-000000000001".parse().expect("is an id"),
            name: "ward".parse().expect("is a name"),
            tags: Vec::new(),
            description: String::new(),
            kind: "tabular".to_owned(),
            columns: columns.collect(),
            row_count: Some(100),
            parts: Vec::new(),
            loading_plan: None,
        },
    }
}

use ColumnType::{Category, Integer, Number};

#[test]
fn a_star_becomes_the_sorted_numeric_columns_without_the_target() {
    let sites = [
        site("north", &[("b", Number), ("y", Integer), ("a", Integer), ("note", Category)]),
        site("south", &[("a", Number), ("b", Number), ("y", Category)]),
    ];
    assert_eq!(
        binary("").resolve(&sites).as_deref(),
        Ok(["a".to_owned(), "b".to_owned()].as_slice())
    );
}

#[test]
fn declared_categories_are_features_too() {
    let sites = [site("north", &[("sex", Category), ("y", Integer), ("a", Integer)])];
    let plan = binary("categories = { sex = [\"f\", \"m\"] }");
    assert_eq!(plan.resolve(&sites).as_deref(), Ok(["a".to_owned(), "sex".to_owned()].as_slice()));
}

#[test]
fn differences_are_listed_by_site() {
    let sites = [
        site("north", &[("a", Number), ("y", Integer), ("c", Number)]),
        site("south", &[("a", Number), ("b", Number), ("y", Integer)]),
        site("west", &[("a", Number), ("b", Number), ("c", Number), ("y", Integer)]),
    ];
    let error = binary("").resolve(&sites).expect_err("the sites differ");
    assert_eq!(
        error.to_string(),
        "the selected datasets do not have the same features: north/ward lacks \"b\"; south/ward \
         lacks \"c\""
    );
}

#[test]
fn a_target_that_is_not_shown_or_no_number_is_refused() {
    let error = binary("").resolve(&[site("north", &[("a", Number)])]).expect_err("no target");
    assert_eq!(
        error.to_string(),
        "dataset north/ward shows no column \"y\", which is the plan's target"
    );
    let regression = plan("task = \"regression\"\n[loss]\nkind = \"mean_squared_error\"");
    let sites = [site("north", &[("a", Number), ("y", Category)])];
    let error = regression.resolve(&sites).expect_err("the target is no number");
    assert_eq!(
        error.to_string(),
        "column \"y\" of dataset north/ward has type category, the plan needs numbers"
    );
}

#[test]
fn a_named_feature_without_numbers_or_categories_is_refused() {
    let sites = [site("north", &[("a", Category), ("y", Integer)])];
    let error = binary("features = [\"a\"]").resolve(&sites).expect_err("it has no numbers");
    assert_eq!(
        error.to_string(),
        "column \"a\" of dataset north/ward has type category, the plan needs numbers, or its \
         declared categories"
    );
}

#[test]
fn a_declared_scale_must_cover_every_feature() {
    let sites = [site("north", &[("a", Number), ("b", Number), ("y", Integer)])];
    let plan = binary("standardize = \"declared\"\nscale = \"scale.toml\"");
    let error = plan.resolve(&sites).expect_err("the scale lacks a column");
    assert_eq!(error.to_string(), "the plan's scale lacks \"b\"");
}

#[test]
fn unscaled_features_of_very_different_size_are_warned_of() {
    let magnitude = |column: &str, largest| ColumnMagnitude { column: column.to_owned(), largest };
    let sizes = [magnitude("area", 2_500.0), magnitude("depth", 0.05), magnitude("y", 1e9)];
    let findings = binary("").findings(&sizes, &[], &[]);
    let messages: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        ["features span 4.7 decades, from \"depth\" to \"area\", and the plan does not scale them"]
    );
    assert!(binary("").findings(&[magnitude("a", 10.0), magnitude("b", 0.1)], &[], &[]).is_empty());
    assert!(binary("standardize = \"local\"").findings(&sizes, &[], &[]).is_empty());
    let findings = binary("").findings(&[], &[], &[]);
    assert_eq!(
        findings[0].to_string(),
        "the plan does not scale its features, and no data was given to judge their sizes by"
    );
}

#[test]
fn missing_values_that_would_end_a_round_are_warned_of() {
    let mut north = site("north", &[("a", Number), ("b", Number), ("y", Integer)]);
    north.dataset.columns[0].missing = Some(3);
    north.dataset.columns[1].missing = Some(4);
    let plan = binary("standardize = \"local\"");
    let findings = plan.findings(&[], &[north], &["a".to_owned()]);
    let messages: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        ["column \"a\" of dataset north/ward has 3 missing values, and missing = \"error\""]
    );
}
