//! Data loading plans: strict reading, and what they make of a table.

use dataset::loading_plan::attach;
use dataset::{
    AttachedPlan, Interrupt, LoadingPlan, Options, Registration, Request, TabularSource, register,
    summarize,
};
use proptest::prelude::*;
use protocol::ColumnType;

use crate::{Written, chain, write};

const PLAN: &str = r#"
kind = "table"
name = "tumour-board"
version = 2
description = "what the study calls it"

[columns]
age = "AGE_YEARS"
height = "GROESSE"

[categories.sex]
1 = "female"
2 = "male"
9 = ""

[categories.grade]
"G1" = 1
"G2" = 2

[units.height]
from = "cm"
to = "m"
factor = 0.01
"#;
const TABLE: &str = "pid;AGE_YEARS;GROESSE;sex;grade\n7;61;170,5;1;G1\n7;NA;180;2;G2\n8;48;;9;G1\n";

fn table() -> (Written, Registration) {
    let file = write(TABLE);
    let options = Options { patient_id: Some("pid".to_owned()), ..Options::default() };
    let registration = register(&file.path, &options).unwrap();
    (file, registration)
}

fn attached(plan: &str) -> Result<AttachedPlan, String> {
    let (file, registration) = table();
    let plan = LoadingPlan::parse(plan).unwrap();
    attach(plan, &file.path, &registration.into(), &mut Interrupt::never())
        .map_err(|error| chain(&error))
}

#[test]
fn a_table_is_read_as_the_study_expects_it() {
    let (file, registration) = table();
    let attached = attached(PLAN).unwrap();
    let columns: Vec<_> = attached
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.column_type, column.missing))
        .collect();
    assert_eq!(
        columns,
        [
            ("age", ColumnType::Integer, 1),
            ("height", ColumnType::Number, 1),
            ("sex", ColumnType::Text, 1),
            ("grade", ColumnType::Integer, 0),
        ]
    );
    let source = TabularSource::open(&file.path, &registration).unwrap();
    let mut source = source.under(Some(&attached));
    let requests =
        [Request::Numbers("height"), Request::Numbers("grade"), Request::Categories("sex")];
    let read = source.read(&requests).unwrap();
    let height = read.numbers("height").unwrap();
    assert!((height[0] - 1.705).abs() < 1e-12 && (height[1] - 1.8).abs() < 1e-12);
    assert!(height[2].is_nan());
    assert_eq!(read.numbers("grade").unwrap(), [1.0, 2.0, 1.0]);
    assert_eq!(read.categories("sex").unwrap().values(), ["female", "male"]);
    assert_eq!(read.groups(), Some(&[0, 0, 1][..]));
    assert!(source.read(&[Request::Numbers("AGE_YEARS")]).is_err(), "the site's name is gone");
    assert!(source.read(&[Request::Categories("pid")]).is_err());
}

#[test]
fn others_see_the_study_s_names_and_the_plan_s() {
    let (_file, registration) = table();
    let attached = attached(PLAN).unwrap();
    let presentation = dataset::Presentation {
        dataset_id: "0197f3a0-0000-7000-8000-000000000001".parse().unwrap(),
        name: "ward".parse().unwrap(),
        tags: Vec::new(),
        description: String::new(),
    };
    let summary = summarize(&registration.into(), Some(&attached), presentation, 1);
    let names: Vec<_> = summary.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["age", "height", "sex", "grade"]);
    assert_eq!(summary.loading_plan.as_deref(), Some("tumour-board@2"));
    let json = serde_json::to_string(&attached).unwrap();
    assert_eq!(serde_json::from_str::<AttachedPlan>(&json).unwrap(), attached);
}

#[test]
fn a_plan_that_does_not_fit_is_refused_when_it_is_attached() {
    let head = "kind = \"table\"\nname = \"p\"\nversion = 1\n";
    let cases = [
        (
            "[columns]\nweight = \"KG\"\n",
            "the data loading plan names column \"KG\", which the table does not have or does not show",
        ),
        (
            "[columns]\npatient = \"pid\"\n",
            "the data loading plan names column \"pid\", which the table does not have or does not show",
        ),
        (
            "[columns]\nsex = \"AGE_YEARS\"\n",
            "the data loading plan gives two columns the name \"sex\"",
        ),
        (
            "[units.grade]\nfrom = \"a\"\nto = \"b\"\nfactor = 2\n",
            "the data loading plan changes the unit of column \"grade\", which is not numeric",
        ),
        (
            "[categories.grade]\nG1 = \"low\"\n",
            "line 3, column \"grade\": the value is none of those that the loading plan maps",
        ),
        (
            "[units.AGE_YEARS]\nfrom = \"a\"\nto = \"b\"\nfactor = 1e308\n",
            "line 2, column \"AGE_YEARS\": the number is beyond the range of a 64-bit float in its new unit",
        ),
    ];
    for (rest, expected) in cases {
        assert_eq!(attached(&format!("{head}{rest}")).unwrap_err(), expected);
    }
    let other = "kind = \"image-folder\"\nname = \"p\"\nversion = 1\n[classes]\na = \"b\"\n";
    let expected = "the data loading plan is for an image folder, the dataset is a table";
    assert_eq!(attached(other).unwrap_err(), expected);
}

#[test]
fn two_columns_may_change_names_and_codes_are_compared_as_numbers() {
    let plan = "kind = \"table\"\nname = \"p\"\nversion = 1\n[columns]\nsex = \"grade\"\ngrade = \"sex\"\n[categories.grade]\n1.0 = \"f\"\n2 = \"m\"\n9 = \"u\"\n";
    // A key with a dot is two keys, so a fraction stands in quotes.
    assert!(LoadingPlan::parse(plan).is_err());
    let attached = attached(&plan.replace("1.0", "\"1.0\"")).unwrap();
    let names: Vec<_> = attached.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["AGE_YEARS", "GROESSE", "grade", "sex"]);
}

#[test]
fn every_refusal_of_a_text_names_line_key_and_rule() {
    let cases = [
        ("", "key \"kind\" is missing"),
        (
            "kind = \"csv\"",
            "line 1: key \"kind\" must be \"table\", \"image-folder\" or \"medical-folder\"",
        ),
        ("kind = \"table\"\nversion = 1", "key \"name\" is missing"),
        (
            "kind = \"table\"\nname = \"a b\"\nversion = 1",
            "line 2: key \"name\" must have 1 to 64 letters, digits, \".\", \"_\" and \"-\", and begin with a letter or digit",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 0",
            "line 3: key \"version\" must be a whole number from 1",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1.5",
            "line 3: key \"version\" must be a whole number from 1",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1\n[classes]\na = \"b\"",
            "line 4: unknown key \"classes\", expected one of kind, name, version, description, columns, categories, units",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1\ncolumns = 3",
            "line 4: key \"columns\" must be a table",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1\n[columns]\na = \"x\"\nb = \"x\"",
            "line 6: key \"columns.b\" names a column that another key names already",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1\n[units.a]\nfrom = \"x\"\nto = \"y\"\nfaktor = 2",
            "line 7: unknown key \"units.a.faktor\", expected one of from, to, factor, offset",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1\n[units.a]\nfrom = \"x\"\nto = \"y\"\nfactor = 0",
            "line 7: key \"units.a.factor\" must not be 0",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1\n[units.a]\nfrom = \"x\"\nto = \"y\"\n",
            "line 4: key \"units.a\" must have a factor, an offset or both",
        ),
        (
            "kind = \"table\"\nname = \"a\"\nversion = 1\n[units.a]\nfrom = \"x\"\nfactor = inf",
            "line 6: key \"units.a.factor\" must be a finite number",
        ),
        (
            "kind = \"image-folder\"\nname = \"a\"\nversion = 1\n[classes]\na = [\"x\"]\nb = [\"y\", \"x\"]",
            "line 6: key \"classes.b\" names folder \"x\" a second time",
        ),
        (
            "kind = \"image-folder\"\nname = \"a\"\nversion = 1\n[classes]\na = \"../x\"",
            "line 5: key \"classes.a\" must be a folder's name, or a list of at least one",
        ),
        ("kind = \"table\"\nname = = 1", "line 2: not valid TOML: "),
    ];
    for (text, expected) in cases {
        let error = LoadingPlan::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\n{expected}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn what_a_plan_does_is_told_in_lines() {
    assert_eq!(
        LoadingPlan::parse(PLAN).unwrap().lines(),
        [
            "column age is AGE_YEARS here",
            "column height is GROESSE here",
            "column sex: 1 is female, 2 is male, 9 is missing",
            "column grade: G1 is 1, G2 is 2",
            "column height: m = cm * 0.01",
        ]
    );
}

proptest! {
    #[test]
    fn any_text_is_a_plan_or_an_error(text in "(kind|name|version|columns|\\[|\\]|=|\"|table|[a-z0-9. ]|\n){0,60}") {
        if let Err(error) = LoadingPlan::parse(&text) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
