//! What a query for statistics may say, and how its answers are read.

use parameters::{Dtype, Parameters, Tensor};
use training_plan::experiment::{Experiment, Strategy};
use training_plan::statistics::{Columns, Edges, Layout, Measure, Query, Table, tensor};
use training_plan::{Bundle, document};

const FILE: &str = r#"[experiment]
name = "sizes"
tags = ["breast-cancer"]
[statistics]
columns = ["size", "age"]
group_by = { column = "diagnosis", values = ["M", "B"] }
measures = ["mean", "count", "standard_deviation"]
quantiles = [0.25, 0.5]
[statistics.histograms]
age = { from = 0, to = 100, bins = 4 }
"#;

fn query() -> Query {
    Experiment::parse("stats.toml", FILE).expect("the file is right").statistics.expect("it asks")
}

#[test]
fn an_experiment_file_asks_in_place_of_training() {
    let experiment = Experiment::parse("stats.toml", FILE).expect("the file is right");
    assert_eq!((experiment.rounds, experiment.strategy), (1, Strategy::Combine));
    let query = experiment.statistics.expect("it asks");
    assert_eq!(query.columns(), &Columns::Named(vec!["age".to_owned(), "size".to_owned()]));
    assert_eq!(query.measures(), [Measure::Count, Measure::Mean, Measure::Deviation]);
    assert_eq!(query.group_names(), [Some("M"), Some("B")]);
    assert_eq!(query.histograms()["age"].as_slice(), [0.0, 25.0, 50.0, 75.0, 100.0]);
}

#[test]
fn a_query_has_one_spelling_and_is_read_again_from_it() {
    let query = query();
    let bundle = Bundle::statistics(&query).expect("it is short");
    assert_eq!(Query::of_bundle(&bundle).expect("it is a query"), query);
    let other = FILE
        .replace("[\"size\", \"age\"]", "[\"age\", \"size\"]")
        .replace("{ from = 0, to = 100, bins = 4 }", "{ edges = [0, 25, 50, 75, 100] }");
    let other = Experiment::parse("stats.toml", &other).expect("the file is right");
    let other = Bundle::statistics(&other.statistics.expect("it asks")).expect("it is short");
    assert_eq!(other.digest(), bundle.digest());
}

#[test]
fn names_with_quotes_and_line_breaks_survive() {
    let text = "columns = [\"a\\\"b\", \"c\\nd\", \"e'f\"]\n[histograms]\n\"c\\nd\" = { edges = [-1, 2.5e-3] }\n";
    let query = Query::parse("query.toml", text).expect("the text is right");
    assert_eq!(Query::parse("query.toml", &query.to_toml()).expect("it is a query"), query);
}

#[test]
fn what_breaks_a_rule_is_named_with_its_line() {
    for ((from, to), expected) in [
        (
            ("[\"size\", \"age\"]", "[]"),
            "line 5: key \"statistics.columns\" must name 1 to 10000 columns",
        ),
        (
            ("\"diagnosis\"", "\"age\""),
            "line 6: key \"statistics.group_by.column\" must not be one of the described columns",
        ),
        (
            ("\"mean\", ", "\"median\", "),
            "line 7: key \"statistics.measures\" must list some of count, missing, mean, variance, standard_deviation, minimum, maximum, found \"median\"",
        ),
        (
            ("[0.25, 0.5]", "[0.5, 0.25]"),
            "line 8: key \"statistics.quantiles\" must be 1 to 100 numbers above 0 and below 1 that ascend",
        ),
        (
            ("[0.25, 0.5]", "[0.25, 1.0]"),
            "line 8: key \"statistics.quantiles\" must be 1 to 100 numbers above 0 and below 1 that ascend",
        ),
        (
            ("\nage = {", "\nweight = {"),
            "line 10: key \"statistics.histograms.weight\" must be one of the described columns",
        ),
        (
            ("to = 100", "to = 0"),
            "line 10: key \"statistics.histograms.age\" must have 2 to 1001 finite edges that ascend",
        ),
        (
            ("bins = 4", "bins = 1001"),
            "line 10: key \"statistics.histograms.age.bins\" must be from 1 to 1000, found 1001",
        ),
        (
            ("tags", "plan = \"p.toml\"\ntags"),
            "line 3: key \"experiment.plan\" must be absent where statistics are asked for",
        ),
        (
            ("tags", "rounds = 2\ntags"),
            "line 3: key \"experiment.rounds\" must be absent where statistics are asked for",
        ),
        (
            ("[statistics]", "[training_args]\n[statistics]"),
            "line 4: key \"training_args\" must be absent where statistics are asked for",
        ),
    ] {
        let text = FILE.replace(from, to);
        assert_ne!(text, FILE, "{from}");
        let error: document::Error = Experiment::parse("stats.toml", &text).expect_err(to);
        assert_eq!(error.to_string(), format!("stats.toml, {expected}"));
    }
}

#[test]
fn columns_are_those_of_the_query_and_nothing_else() {
    let layout = |columns: &[&str]| {
        Layout::new(query(), columns.iter().map(|name| (*name).to_owned()).collect())
    };
    let described = layout(&["age", "size"]).expect("they are the query's").description();
    let again = Layout::of_description(&described).expect("it is a description");
    assert_eq!(again, layout(&["age", "size"]).expect("they are the query's"));
    for wrong in [&["age"][..], &["size", "age"], &["age", "diagnosis", "size"], &[]] {
        assert!(layout(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_value_belongs_to_the_bin_above_its_edge_and_the_last_edge_to_the_last_bin() {
    let edges = Edges::even(0.0, 1.0, 2).expect("they ascend");
    for (value, place) in [(-0.1, 0), (0.0, 1), (0.49, 1), (0.5, 2), (1.0, 2), (1.1, 3)] {
        assert_eq!(edges.place(value), place, "{value}");
    }
    let below = Edges::listed(vec![-10.0, -5.0, 0.0]).expect("they ascend");
    assert_eq!((below.place(0.0), below.place(-0.0), below.place(1e-9)), (2, 2, 3));
    assert_eq!(
        Edges::even(0.0, 0.3, 3).expect("they ascend").as_slice()[3].to_bits(),
        0.3_f64.to_bits()
    );
}

/// A file of three sites, of which so many tell of a column; one of them does not tell the edge 50.
fn combined([count, mean, squares]: [f64; 3], bins: [f64; 6], told: f64) -> (Layout, Parameters) {
    let text = "columns = [\"age\"]\nmeasures = [\"count\", \"mean\", \"variance\"]\nquantiles = [0.5]\n\
                [histograms]\nage = { from = 0, to = 100, bins = 4 }\n";
    let query = Query::parse("query.toml", text).expect("the text is right");
    let layout = Layout::new(query, vec!["age".to_owned()]).expect("the column is the query's");
    let numbers: [(&str, &[f64]); 8] = [
        (tensor::ANSWERS, &[3.0]),
        (tensor::GROUP_SITES, &[told]),
        (tensor::COLUMN_SITES, &[told]),
        (tensor::MOMENT_COUNT, &[count]),
        (tensor::MOMENT_MEAN, &[mean]),
        (tensor::MOMENT_SQUARES, &[squares]),
        ("sum.bins.0", &bins),
        ("sum.edges.0", &[told, told, 1.0, told, 0.0]),
    ];
    let mut parameters = Parameters::new();
    for (name, numbers) in numbers {
        let shape = &layout.schema().get(name).expect("the layout has it").shape;
        let made = Tensor::from_f64(Dtype::F64, shape, numbers).expect("the shape fits");
        parameters.insert(name, made).expect("the name is new");
    }
    (layout, parameters)
}

/// Two sites of three tell of a column; one of them does not tell the edge 50.
#[test]
fn a_combined_file_is_read_as_a_table() {
    let (layout, parameters) =
        combined([60.0, 45.0, 590.0], [0.0, 12.0, 10.0, 38.0, 0.0, 0.0], 2.0);
    let bytes = parameters.to_bytes(Some(&layout.description())).expect("it is short");
    let table = Table::parse(&bytes).expect("it is a table");
    let column = &table.groups[0].columns[0];
    assert_eq!((table.sites, column.sites, column.count), (3, 2, Some(60)));
    assert_eq!((column.mean, column.variance), (Some(45.0), Some(10.0)));
    assert_eq!(column.minimum, None, "it was not asked for");
    let bins: Vec<_> = column
        .histogram
        .as_ref()
        .expect("it is told")
        .bins
        .iter()
        .map(|bin| (bin.from, bin.to, bin.count))
        .collect();
    let expected = [
        (None, Some(0.0), 0),
        (Some(0.0), Some(25.0), 12),
        (Some(25.0), Some(75.0), 48),
        (Some(75.0), None, 0),
    ];
    assert_eq!(bins, expected, "what lies on both sides of 50 is one range");
    let median = column.quantiles[0];
    // 12 lie below 25, and 18 of the 48 up to 75 reach the half.
    assert_eq!((median.value, median.resolution), (Some(25.0 + 18.0 / 48.0 * 50.0), Some(50.0)));
    assert!(table.scale(3).is_err(), "one site withholds");
    assert!(Table::parse(&parameters.to_bytes(None).expect("it is short")).is_err());
    assert!(table.to_csv().contains("\n,age,2,60,,0,45,10,"), "{}", table.to_csv());
}

#[test]
fn a_scale_is_of_all_sites_that_were_asked() {
    let (layout, parameters) = combined([60.0, 45.0, 590.0], [0.0; 6], 3.0);
    let bytes = parameters.to_bytes(Some(&layout.description())).expect("it is short");
    let table = Table::parse(&bytes).expect("it is a table");
    assert!(table.scale(3).is_ok(), "three have answered");
    let error = table.scale(4).expect_err("a fourth has not answered").to_string();
    assert_eq!(error, "3 of 4 sites have told their statistics, and a scale needs all");
}

#[test]
fn numbers_that_nobody_can_have_are_read_as_the_largest() {
    let (layout, parameters) = combined([1e300, 0.0, -1.0], [1e300; 6], 2.0);
    let bytes = parameters.to_bytes(Some(&layout.description())).expect("it is short");
    let table = Table::parse(&bytes).expect("it is a table");
    let column = &table.groups[0].columns[0];
    assert_eq!((column.count, column.standard_deviation), (Some(u64::MAX), Some(0.0)));
    let bins = &column.histogram.as_ref().expect("it is told").bins;
    assert!(bins.iter().all(|bin| bin.count == u64::MAX), "{bins:?}");
    assert_eq!(column.quantiles.len(), 1);
}
