//! The statistics runtime, on real files: what is told, and what is withheld.

use std::fmt::Write as _;

use dataset::{Exclusions, Options, Registered, register};
use protocol::{Code, Detail, Digest, Mode};
use runtime::{
    Assignment, Cohort, DataGrant, Failure, Instance, Runtime, StatisticsRuntime, StatisticsTerms,
    Unfollowed, empty_statistics,
};
use serde_json::{Map, json};
use tempfile::TempDir;
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;
use training_plan::statistics::{ColumnStatistics, GroupStatistics, Query, Table};

/// A table, what is asked of it, and what its owner allows.
struct Ward {
    csv: String,
    query: &'static str,
    columns: &'static [&'static str],
    options: Options,
    excluded: &'static [&'static str],
    terms: StatisticsTerms,
}

impl Ward {
    fn new(csv: String, query: &'static str, columns: &'static [&'static str]) -> Self {
        let (options, terms) = (Options::default(), StatisticsTerms::default());
        Self { csv, query, columns, options, excluded: &[], terms }
    }

    /// Runs a round and reads its answer as a table of one site.
    fn ask(&self) -> Result<Answer, Failure> {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut instance, registration, path) = self.instance(&folder)?;
        let mut exclusions = Exclusions::default();
        for patient in self.excluded {
            exclusions.add(patient).expect("is an identifier");
        }
        let grant = DataGrant {
            path: &path,
            registration: &registration,
            loading_plan: None,
            exclusions: &exclusions,
            minimum_samples: 20,
        };
        let data = instance.open_data(&grant, &mut Unfollowed)?;
        let cohorts = instance.cohorts().expect("the data are open").to_vec();
        let told_rows = instance.train(&mut Unfollowed)?.sample_count;
        let update = folder.path().join("update");
        let export = instance.export(&update, &mut Unfollowed)?;
        let bytes = std::fs::read(&update).expect("it was written");
        assert_eq!(export.digest, Digest::of(&bytes));
        let table = Table::parse(&bytes).expect("it is a table");
        Ok(Answer { table, cohorts, told_rows, rows: data.rows, excluded: data.excluded })
    }

    /// An instance that has received its parameters.
    fn instance(
        &self,
        folder: &TempDir,
    ) -> Result<(Box<dyn Instance>, Registered, std::path::PathBuf), Failure> {
        let path = folder.path().join("ward.csv");
        std::fs::write(&path, &self.csv).expect("the folder can be written");
        let registration = register(&path, &self.options).expect("the table is right").into();
        let query = Query::parse("query.toml", self.query).expect("the query is right");
        let bundle = Bundle::statistics(&query).expect("it is short");
        let columns: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        let empty = folder.path().join("empty");
        empty_statistics(&bundle, &columns, &empty).expect("the columns are the query's");
        let assignment = assignment(&registration, columns, folder);
        let runtime = StatisticsRuntime { terms: self.terms };
        let mut instance = runtime.instantiate(&bundle, assignment, &mut Unfollowed)?;
        instance.initialise(&Map::new(), &TrainingArguments::default(), &mut Unfollowed)?;
        instance.load(&empty, &mut Unfollowed)?;
        Ok((instance, registration, path))
    }
}

fn assignment(registration: &Registered, columns: Vec<String>, folder: &TempDir) -> Assignment {
    Assignment {
        mode: Mode::Train,
        seed: 1,
        round: 1,
        node: "north".parse().expect("is a name"),
        dataset: "ward".parse().expect("is a name"),
        dataset_digest: registration.digest(),
        columns,
        memory_limit: None,
        disk_limit: None,
        class: String::new(),
        scratch: folder.path().join("scratch"),
        folders: Vec::new(),
        state: None,
    }
}

#[derive(Debug)]
struct Answer {
    table: Table,
    cohorts: Vec<Cohort>,
    told_rows: u64,
    rows: u64,
    excluded: u64,
}

impl Answer {
    fn group(&self, place: usize) -> &GroupStatistics {
        &self.table.groups[place]
    }

    fn column(&self, group: usize, column: usize) -> &ColumnStatistics {
        &self.table.groups[group].columns[column]
    }
}

/// A header, and a line for each of so many patients.
fn csv(header: &str, lines: impl Iterator<Item = String>) -> String {
    lines.fold(format!("{header}\n"), |mut text, line| {
        writeln!(text, "{line}").expect("a text takes every line");
        text
    })
}

fn sexes(women: usize, men: usize) -> String {
    let women = (0..women).map(|place| format!("f,{}", 30 + place));
    csv("sex,age", women.chain((0..men).map(|place| format!("m,{}", 40 + place))))
}

const BY_SEX: &str =
    "columns = [\"age\"]\ngroup_by = { column = \"sex\", values = [\"f\", \"m\"] }\n";

#[test]
fn a_group_of_ten_is_told_and_one_of_nine_takes_the_other_with_it() {
    let told = Ward::new(sexes(30, 10), BY_SEX, &["age"]).ask().expect("it is answered");
    assert_eq!((told.group(0).rows, told.group(1).rows), (Some(30), Some(10)));
    assert_eq!(told.column(1, 0).mean, Some(44.5));
    assert_eq!((told.told_rows, told.cohorts.len()), (40, 2));
    let withheld = Ward::new(sexes(30, 9), BY_SEX, &["age"]).ask().expect("it is answered");
    for group in 0..2 {
        assert_eq!(withheld.group(group).sites, 0, "39 rows less 30 would be 9");
        assert_eq!(withheld.group(group).rows, None);
        assert_eq!(withheld.column(group, 0).count, None);
        assert_eq!(withheld.column(group, 0).mean, None);
    }
    assert_eq!((withheld.told_rows, withheld.cohorts.len(), withheld.rows), (0, 0, 39));
}

#[test]
fn the_owners_threshold_counts_met_and_missed_by_one() {
    let mut ward = Ward::new(sexes(30, 12), BY_SEX, &["age"]);
    ward.terms.minimum_count = 12;
    assert_eq!(ward.ask().expect("it is answered").group(1).sites, 1);
    ward.terms.minimum_count = 13;
    assert_eq!(ward.ask().expect("it is answered").group(1).sites, 0);
    ward.terms.minimum_count = 1;
    ward.csv = sexes(30, 1);
    assert_eq!(ward.ask().expect("it is answered").column(1, 0).count, Some(1));
}

#[test]
fn patients_are_counted_and_not_their_rows() {
    let rows = |patients: usize| {
        let lines = (0..60).map(|place| {
            let patient = if place < 30 { place } else { 30 + place % patients };
            format!("p{patient},{},{}", if place < 30 { "f" } else { "m" }, 20 + place)
        });
        csv("patient,sex,age", lines)
    };
    let mut ward = Ward::new(rows(9), BY_SEX, &["age"]);
    ward.options = Options { patient_id: Some("patient".to_owned()), ..Options::default() };
    assert_eq!(ward.ask().expect("it is answered").group(1).sites, 0, "30 rows of 9 men");
    ward.csv = rows(10);
    let told = ward.ask().expect("it is answered");
    assert_eq!(told.group(1).rows, Some(30));
    assert_eq!(told.cohorts[1].len(), 10);
    ward.excluded = &["p30", "nobody"];
    let without = ward.ask().expect("it is answered");
    assert_eq!((without.excluded, without.group(1).sites), (3, 0), "9 men are left");
}

#[test]
fn a_column_that_few_lack_is_withheld_with_all_that_would_tell_them() {
    let rows = |missing: usize| {
        let lines = (0..50).map(|place| {
            let weight = if place < missing { String::new() } else { format!("{}", 50 + place) };
            format!("{},{weight}", 20 + place)
        });
        csv("age,weight", lines)
    };
    let query = "columns = [\"age\", \"weight\"]\n";
    let columns: &[&str] = &["age", "weight"];
    let none = Ward::new(rows(0), query, columns).ask().expect("it is answered");
    assert_eq!((none.group(0).rows, none.column(0, 1).missing), (Some(50), Some(0)));
    let ten = Ward::new(rows(10), query, columns).ask().expect("it is answered");
    assert_eq!((ten.group(0).rows, ten.column(0, 1).missing), (Some(50), Some(10)));
    let nine = Ward::new(rows(9), query, columns).ask().expect("it is answered");
    assert_eq!((nine.group(0).rows, nine.told_rows), (None, 0));
    assert_eq!((nine.column(0, 0).missing, nine.column(0, 1).missing), (None, None));
    assert_eq!(nine.column(0, 0).count, Some(50), "everybody has an age");
    assert_eq!(nine.column(0, 1).count, None, "50 ages less 41 weights would be 9");
    assert_eq!(nine.column(0, 1).mean, None, "a sum like that of the ages would tell the 9's");
    let most = Ward::new(rows(41), query, columns).ask().expect("it is answered");
    assert_eq!(most.column(0, 1).count, None, "nine values are too few");
    assert_eq!(most.column(0, 1).missing, None);
}

#[test]
fn few_values_do_not_follow_from_a_column_that_everybody_has() {
    // 9 of 12 in a, all of 40 in b and of 90 in c.
    let regions = [("a", 12, 3), ("b", 40, 0), ("c", 90, 0)];
    let lines = regions.into_iter().flat_map(|(region, patients, lacking)| {
        (0..patients).map(move |place| {
            let x = if place < lacking { String::new() } else { format!("{}.5", place) };
            format!("{region},{x},{place}.25")
        })
    });
    let query = "columns = [\"x\", \"z\"]\n\
                 group_by = { column = \"region\", values = [\"a\", \"b\", \"c\"] }\n";
    let ward = Ward::new(csv("region,x,z", lines), query, &["x", "z"]);
    let answer = ward.ask().expect("it is answered");
    for group in 0..3 {
        assert_eq!(answer.column(group, 0).count, None, "139 in all, 40 and 90 at most leave 9");
        assert!(answer.column(group, 1).count.is_some(), "everybody has a z");
        assert_eq!(answer.group(group).rows, None);
    }
}

#[test]
fn what_is_withheld_does_not_depend_on_the_values_that_are_listed() {
    let regions = || [("a", 3), ("b", 40), ("c", 57)].into_iter();
    let lines = regions().flat_map(|(region, patients)| {
        (0..patients).map(move |place| format!("{region},{}", 20 + place))
    });
    let rows = csv("region,age", lines);
    for (query, told) in [
        (
            "columns = [\"age\"]\ngroup_by = { column = \"region\", values = [\"b\"] }\n",
            &[false][..],
        ),
        ("columns = [\"age\"]\ngroup_by = { column = \"region\", values = [\"c\"] }\n", &[true]),
        (
            "columns = [\"age\"]\ngroup_by = { column = \"region\", values = [\"c\", \"b\", \"a\"] }\n",
            &[true, false, false],
        ),
        (
            "columns = [\"age\"]\ngroup_by = { column = \"region\", values = [\"a\", \"nowhere\"] }\n",
            &[false, true],
        ),
    ] {
        let answer = Ward::new(rows.clone(), query, &["age"]).ask().expect("it is answered");
        let counts: Vec<_> = answer.table.groups.iter().map(|group| group.sites == 1).collect();
        assert_eq!(counts, told, "100 less 40 less 57 would be 3: {query}");
        let columns: Vec<_> =
            answer.table.groups.iter().map(|group| group.columns[0].count.is_some()).collect();
        assert_eq!(columns, told, "{query}");
    }
}

#[test]
fn the_mean_of_a_column_with_two_values_tells_a_count() {
    let rows = |ones: usize| csv("ill", (0..40).map(|place| format!("{}", u8::from(place < ones))));
    for (ones, is_told) in [(0, true), (9, false), (10, true), (30, true), (31, false), (40, true)]
    {
        let answer = Ward::new(rows(ones), "columns = \"*\"\n", &["ill"]).ask();
        let answer = answer.expect("it is answered");
        assert_eq!(answer.column(0, 0).mean.is_some(), is_told, "{ones} of 40");
        assert_eq!(answer.column(0, 0).count.is_some(), is_told, "{ones} of 40");
    }
}

#[test]
fn sums_are_withheld_where_they_are_those_of_few() {
    let strokes = |counts: &[usize]| {
        let lines = counts.iter().enumerate();
        csv("strokes", lines.flat_map(|(value, count)| vec![format!("{value}"); *count]))
    };
    let rare = |decimal: usize| {
        let lines = (0..95)
            .map(|place| if place < decimal { format!("{place}.5") } else { "0".to_owned() });
        csv("strokes", lines)
    };
    for (rows, is_told) in [
        // 95 patients, sum 9, square sum 19: there is one way only.
        (strokes(&[90, 2, 2, 1]), false),
        (strokes(&[60, 20, 10, 5]), false),
        (strokes(&[60, 20, 10, 11]), true),
        (rare(9), false),
        (rare(10), true),
    ] {
        let answer = Ward::new(rows, "columns = \"*\"\n", &["strokes"]).ask();
        let answer = answer.expect("it is answered");
        assert_eq!(answer.column(0, 0).mean.is_some(), is_told);
    }
}

#[test]
fn a_groups_histogram_does_not_tell_the_few_of_the_others() {
    let lines = |sex: &'static str, counts: [usize; 3]| {
        let bins = counts.into_iter().enumerate();
        bins.flat_map(move |(bin, count)| {
            (0..count).map(move |place| {
                format!("{sex},{}", 10.0 * bin as f64 + 0.5 + place as f64 / 100.0)
            })
        })
    };
    let rows = csv("sex,age", lines("f", [11, 12, 30]).chain(lines("m", [1, 15, 20])));
    let ask = |query| {
        let answer = Ward::new(rows.clone(), query, &["age"]).ask().expect("it is answered");
        let histogram = answer.column(0, 0).histogram.clone().expect("it is told");
        histogram.bins.iter().map(|bin| (bin.to, bin.count)).collect::<Vec<_>>()
    };
    let all = ask("columns = [\"age\"]\n[histograms]\nage = { edges = [10, 20] }\n");
    assert_eq!(all, [(Some(10.0), 12), (Some(20.0), 27), (None, 50)]);
    let women = ask("columns = [\"age\"]\ngroup_by = { column = \"sex\", values = [\"f\"] }\n\
         [histograms]\nage = { edges = [10, 20] }\n");
    assert_eq!(women, [(Some(20.0), 23), (None, 30)], "12 less 11 would be one man");
}

#[test]
fn rows_of_the_same_patients_are_no_cohort_of_theirs() {
    // Each of 40 patients has a row of either diagnosis; 2 rows were reviewed.
    let lines = (0..80).map(|place| {
        let (patient, first) = (place / 2, if place % 2 == 0 { "x" } else { "y" });
        let reviewed = if place == 0 || place == 2 { "y" } else { first };
        format!("p{patient},{first},{reviewed},{place}")
    });
    let rows = csv("patient,diagnosis,reviewed,size", lines);
    let ask = |query, excluded| {
        let mut ward = Ward::new(rows.clone(), query, &["size"]);
        ward.options = Options { patient_id: Some("patient".to_owned()), ..Options::default() };
        ward.excluded = excluded;
        ward.ask().expect("it is answered").cohorts.remove(0)
    };
    let first = "columns = [\"size\"]\ngroup_by = { column = \"diagnosis\", values = [\"y\"] }\n";
    let reviewed = "columns = [\"size\"]\ngroup_by = { column = \"reviewed\", values = [\"y\"] }\n";
    let (one, other) = (ask(first, &[]), ask(reviewed, &[]));
    assert_eq!((one.len(), other.len()), (40, 40));
    assert_eq!(one.difference(&other), Some(2), "two patients have another row in the group");
    let without = ask(first, &["p0"]);
    assert_eq!(one.difference(&without), Some(1), "the rows of the others are the same");
}

#[test]
fn bins_with_few_patients_are_one_with_their_neighbours() {
    let ages = [(15.0, 4), (25.0, 12), (35.0, 9), (45.0, 11), (95.0, 3)];
    let lines = ages.into_iter().flat_map(|(age, count)| {
        (0..count).map(move |place| format!("{}", age + f64::from(place) / 100.0))
    });
    let query = "columns = [\"age\"]\nquantiles = [0.5]\n[histograms]\nage = { from = 10, to = 50, bins = 4 }\n";
    let answer = Ward::new(csv("age", lines), query, &["age"]).ask().expect("it is answered");
    let histogram = answer.column(0, 0).histogram.as_ref().expect("it is told");
    let bins: Vec<_> = histogram.bins.iter().map(|bin| (bin.from, bin.to, bin.count)).collect();
    // 4 below 20 join the 12 below 30; 9 below 40 join the 11 below 50; 3 beyond 50 join those.
    assert_eq!(bins, [(None, Some(30.0), 16), (Some(30.0), None, 23)]);
    assert_eq!(answer.column(0, 0).quantiles[0].value, None, "it lies in a range without an end");
}

#[test]
fn extremes_are_one_patients_own_and_need_the_owners_word() {
    let query = "columns = [\"age\"]\nmeasures = [\"minimum\", \"maximum\"]\n";
    let mut ward = Ward::new(csv("age", (0..40).map(|place| format!("{place}"))), query, &["age"]);
    let denied = ward.ask().expect_err("the policy does not say so");
    assert_eq!(denied.code, Code::PolicyDenied);
    let Some(Detail::Argument { key, value, .. }) = denied.detail.as_deref() else {
        panic!("the measure is named: {denied:?}");
    };
    assert_eq!((key.as_str(), value), ("measures", &json!("minimum")));
    ward.terms.extremes = true;
    let told = ward.ask().expect("it is answered");
    assert_eq!((told.column(0, 0).minimum, told.column(0, 0).maximum), (Some(0.0), Some(39.0)));
    assert_eq!(told.column(0, 0).mean, None, "it was not asked for");
}

#[test]
fn withheld_columns_and_arguments_of_training_are_refused() {
    let mut ward = Ward::new(sexes(30, 30), BY_SEX, &["age"]);
    ward.options = Options { withheld: vec!["sex".to_owned()], ..Options::default() };
    assert_eq!(ward.ask().expect_err("the group's column is withheld").code, Code::DataInvalid);
    ward.options = Options::default();
    let folder = tempfile::tempdir().expect("a folder");
    let (mut instance, ..) = ward.instance(&folder).expect("it starts");
    let given = TrainingArguments::parse(&json!({"epochs": 3})).expect("they are right");
    let refused = instance.initialise(&Map::new(), &given, &mut Unfollowed).expect_err("no epochs");
    assert_eq!(refused.code, Code::ArgumentsInvalid);
    ward.csv = sexes(10, 9);
    assert_eq!(ward.ask().expect_err("19 rows").code, Code::DataTooFewSamples);
}

#[test]
fn a_file_of_another_query_is_not_taken() {
    let ward = Ward::new(sexes(30, 30), BY_SEX, &["age"]);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut instance, ..) = ward.instance(&folder).expect("it starts");
    let other = Query::parse("q", "columns = [\"age\"]\n").expect("it is right");
    let path = folder.path().join("other");
    let bundle = Bundle::statistics(&other).expect("it is short");
    empty_statistics(&bundle, &["age".to_owned()], &path).expect("it is written");
    let refused = instance.load(&path, &mut Unfollowed).expect_err("its tensors differ");
    assert_eq!(refused.code, Code::ParametersMismatch);
    let words = BY_SEX.replace("\"f\"", "\"x\"");
    let other = Query::parse("q", &words).expect("it is right");
    let bundle = Bundle::statistics(&other).expect("it is short");
    empty_statistics(&bundle, &["age".to_owned()], &path).expect("it is written");
    let refused = instance.load(&path, &mut Unfollowed).expect_err("its groups differ");
    assert_eq!(refused.code, Code::ParametersInvalid);
}
