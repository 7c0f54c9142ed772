//! Statistics of three hospitals, with real processes: their numbers, a crash, and what policies deny.

use std::path::PathBuf;

use federation::{Experiment, ExperimentFile, Federation, Hospital};
use serde_json::Value;

const QUERY: &str = "columns = [\"area_mean\", \"radius_mean\", \"smoothness_mean\"]\n\
    quantiles = [0.25, 0.5, 0.75]\n[statistics.histograms]\n\
    radius_mean = { from = 6, to = 30, bins = 24 }\n";

/// Submits a query and returns once the coordinator has it.
fn submit(federation: &Federation, name: &str, query: &str) -> Experiment {
    let file = write(federation, name, query);
    let file = file.to_string_lossy();
    let submitted = federation.coordinator.document(&["experiment", "submit", &file, "--detach"]);
    let text = |key: &str| submitted[key].as_str().expect("is a text").to_owned();
    Experiment::follow(&federation.coordinator, &text("experiment_id"), &text("plan"))
}

fn write(federation: &Federation, name: &str, query: &str) -> PathBuf {
    let file = federation.folder().join(format!("{name}.toml"));
    let text = format!(
        "[experiment]\nname = \"{name}\"\ntags = [\"breast-cancer\"]\nmin_nodes = 2\n\
         round_deadline = \"60s\"\nround_retries = 0\n[statistics]\n{query}"
    );
    std::fs::write(&file, text).expect("the folder can be written");
    file
}

fn table(federation: &Federation, experiment: &Experiment) -> Value {
    federation.coordinator.document(&["experiment", "table", &experiment.id])["table"].clone()
}

fn say(hospital: &Hospital, policy: &str) {
    std::fs::write(hospital.home().join("policy.toml"), policy).expect("the folder can be written");
    hospital.document(&["node", "policy", "reload"]);
}

/// What a hospital has replied to an experiment.
fn reply(hospital: &Hospital, experiment: &Experiment) -> Value {
    let rounds = hospital.rounds(&experiment.id);
    let id = rounds[0]["round_id"].as_str().expect("is a text");
    hospital.document(&["node", "round", "show", id])["reply"].clone()
}

/// Whether an experiment goes on no further: too few sites are left, or all is done.
fn ended(event: &Value) -> bool {
    ["paused", "completed"].iter().any(|end| event["event"] == *end)
}

#[track_caller]
fn close(found: &Value, expected: f64) {
    let found = found.as_f64().expect("is a number");
    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} is not {expected}");
}

/// The expected numbers are NumPy 2.4's over the rows of the three files together. The tolerance is a few units in the
/// last place, as sums of 455 numbers are rounded.
#[test]
fn three_hospitals_say_together_what_all_their_rows_say_though_one_is_killed() {
    let mut federation = Federation::of_three();
    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("train");
    let experiment = submit(&federation, "sizes", QUERY);
    federation.approve(&experiment);
    let south = federation.hospital("south");
    south.daemon().await_event("train", |event| event["event"] == "paused");
    south.kill();
    south.start();
    let model = experiment.await_model();
    let table = table(&federation, &experiment);
    assert_eq!(table["sites"], 3);
    let columns = &table["groups"][0]["columns"];
    for (place, mean, variance) in [
        (0, 661.14, 130_926.565_709_251_11),
        (1, 14.183_621_978_021_977, 12.783_800_143_128_238),
        (2, 0.096_569_956_043_956_05, 0.000_194_607_894_271_191_32),
    ] {
        assert_eq!(columns[place]["count"], 455);
        assert_eq!((&columns[place]["missing"], &columns[place]["sites"]), (&0.into(), &3.into()));
        close(&columns[place]["mean"], mean);
        close(&columns[place]["variance"], variance);
    }
    for (place, expected) in [(0, 11.705), (1, 13.37), (2, 16.07)] {
        let quantile = &columns[1]["quantiles"][place];
        let value = quantile["value"].as_f64().expect("is a number");
        let resolution = quantile["resolution"].as_f64().expect("is a number");
        assert!((value - expected).abs() <= resolution, "{quantile} is not {expected}");
    }
    // The same query again has the same bytes, and is about the same patients.
    let again = submit(&federation, "sizes-again", QUERY);
    assert_eq!(again.plan, experiment.plan);
    assert_eq!(again.await_model(), model);
    saved_as_files(&federation, &table);
    let shown = federation.hospital("south").rounds(&experiment.id);
    assert_eq!(shown[0]["code"], "ok");
}

/// Whoever does not ask for anything else waits for the table, and finds it in files.
fn saved_as_files(federation: &Federation, table: &Value) {
    let file = write(federation, "sizes-saved", QUERY);
    let name = federation.folder().join("sizes");
    let (file, output) = (file.to_string_lossy(), name.to_string_lossy());
    let submit = ["experiment", "submit", &file, "--output", &output];
    let printed = federation.coordinator.document(&submit);
    assert_eq!(&printed["table"], table);
    let read = |ending: &str| {
        let path = PathBuf::from(format!("{output}{ending}"));
        std::fs::read_to_string(path).expect("the table is saved")
    };
    let saved: Value = serde_json::from_str(&read(".json")).expect("it is JSON");
    assert_eq!(&saved, table);
    assert_eq!(read(".csv").lines().count(), 4, "a header and three columns");
    assert!(read("-histograms.csv").starts_with("group,column,from,to,count\n,radius_mean,,"));
    let page = read(".html");
    assert!(page.contains("Histogram of radius_mean") && page.contains("described by 3 sites"));
}

#[test]
fn groups_differ_and_one_that_is_small_somewhere_is_withheld_there() {
    let mut federation = Federation::of_three();
    // 37 malignant tumours are in the south: with 38 asked for they are few, and the others would tell them.
    say(federation.hospital("south"), "[defaults]\nstatistics_minimum_count = 38\n");
    let query = "columns = [\"radius_mean\"]\ngroup_by = { column = \"diagnosis\", values = [\"M\", \"B\"] }\n";
    let experiment = submit(&federation, "groups", query);
    federation.approve(&experiment);
    experiment.await_model();
    let table = table(&federation, &experiment);
    let groups = &table["groups"];
    for (place, rows) in [(0, 95 + 38), (1, 107 + 63)] {
        assert_eq!(groups[place]["sites"], 2, "{groups}");
        assert_eq!(groups[place]["columns"][0]["count"], rows);
        assert_eq!(groups[place]["columns"][0]["sites"], 2);
    }
}

#[test]
fn a_query_beyond_the_budget_or_about_few_others_is_denied() {
    let mut federation = Federation::of_three();
    say(federation.hospital("south"), "[defaults]\nstatistics_per_day = 1\n");
    say(
        federation.hospital("east"),
        "[defaults]\nstatistics_extremes = true\nstatistics_total = 3\n",
    );
    let first = submit(&federation, "first", QUERY);
    federation.approve(&first);
    first.await_model();
    // The north loses three rows: whoever subtracts would know them.
    let north = federation.hospital("north");
    let rows = federation::share("north");
    let shorter: Vec<&str> = rows.lines().take(200).collect();
    north.document(&["node", "dataset", "remove", "breast-cancer"]);
    north.add_table(&(shorter.join("\n") + "\n"), &[]);
    let second = submit(&federation, "second", QUERY);
    second.await_event("the end", ended);
    let denied = reply(federation.hospital("south"), &second);
    assert_eq!(
        (&denied["code"], &denied["detail"]["bound"]),
        (&"policy.denied".into(), &"statistics_per_day".into())
    );
    assert_eq!(denied["detail"]["requested"], 2.0);
    // The table is another dataset now, of the same name: of 199 rows after 202.
    let denied = reply(federation.hospital("north"), &second);
    assert_eq!(denied["code"], "policy.denied");
    assert_eq!(denied["detail"]["bound"], "statistics_minimum_difference");
    assert_eq!(denied["detail"]["requested"], 3.0);
    let extremes = "columns = [\"radius_mean\"]\nmeasures = [\"minimum\", \"maximum\"]\n";
    let third = submit(&federation, "third", extremes);
    federation.approve(&third);
    third.await_event("the end", ended);
    let denied = reply(federation.hospital("north"), &third);
    assert_eq!(
        (&denied["code"], &denied["detail"]["key"]),
        (&"policy.denied".into(), &"measures".into())
    );
    assert_eq!(reply(federation.hospital("east"), &third)["code"], "ok");
    let fourth = submit(&federation, "fourth", QUERY);
    fourth.await_event("the end", ended);
    let denied = reply(federation.hospital("east"), &fourth);
    assert_eq!(denied["detail"]["bound"], "statistics_total");
    assert_eq!(denied["detail"]["requested"], 4.0);
}

#[test]
fn a_table_that_was_corrected_for_few_patients_is_not_described_again() {
    let numbered = |skip: usize, take: usize| {
        let rows = federation::share("north");
        let mut lines = rows.lines();
        let header = format!("patient,{}\n", lines.next().expect("there is a header"));
        let kept = lines.enumerate().skip(skip).take(take);
        kept.fold(header, |text, (place, line)| text + &format!("p{place},{line}\n"))
    };
    let mut federation = Federation::of(&["south", "east"]);
    federation.add_hospital_with("north", &numbered(0, 100), &["--patient-id", "patient"]);
    let first = submit(&federation, "first", QUERY);
    federation.approve(&first);
    first.await_model();
    for (patient, expected) in [(9, "policy.denied"), (10, "ok")] {
        let north = federation.hospital("north");
        for place in 0..patient {
            let patient = format!("p{place}");
            let leave_out = ["node", "dataset", "exclude", "breast-cancer", "--patient", &patient];
            north.document(&leave_out);
        }
        let next = submit(&federation, &format!("without-{patient}"), QUERY);
        next.await_model();
        let reply = reply(federation.hospital("north"), &next);
        assert_eq!(reply["code"], expected, "{patient} patients are left out: {reply}");
        if expected == "policy.denied" {
            assert_eq!(reply["detail"]["bound"], "statistics_minimum_difference");
            assert_eq!(reply["detail"]["requested"], 9.0);
        }
    }
}

#[test]
fn a_plan_is_standardised_by_what_all_sites_say_and_its_model_keeps_that() {
    let federation = Federation::of_three();
    let file = ExperimentFile {
        rounds: 1,
        plan_change: Some((
            "standardize = \"declared\"\nscale = \"scale.toml\"",
            "standardize = \"federated\"",
        )),
        ..ExperimentFile::default()
    };
    let folder = federation.folder().join("federated");
    let file = file.write(&folder);
    let file = file.to_string_lossy();
    let submission =
        federation.coordinator.follow("submit", &["experiment", "submit", &file, "--watch"]);
    let asked = submission.await_named("statistics");
    let plan = asked["plan"].as_str().expect("is a text");
    let id = asked["experiment_id"].as_str().expect("is a text");
    let statistics = Experiment::follow(&federation.coordinator, id, plan);
    federation.approve(&statistics);
    let submitted = submission.await_named("submitted");
    let (id, plan) = (submitted["experiment_id"].as_str(), submitted["plan"].as_str());
    let (id, plan) = (id.expect("is a text"), plan.expect("is a text"));
    let training = Experiment::follow(&federation.coordinator, id, plan);
    federation.approve(&training);
    training.await_model();
    let model = federation.folder().join("model.safetensors");
    let path = model.to_string_lossy();
    federation.coordinator.document(&["experiment", "download", id, "--output", &path]);
    let bytes = std::fs::read(&model).expect("it was written");
    let feature = &description(&bytes)["features"];
    let features = feature.as_array().expect("features are a list");
    let radius = features.iter().find(|one| one["column"] == "radius_mean").expect("it is one");
    close(&radius["mean"], 14.183_621_978_021_977);
    // The population's deviation, of the same rows as the sample variance above.
    close(&radius["deviation"], 3.571_512_827_791_244);
}

/// What a model's file says of itself.
fn description(bytes: &[u8]) -> Value {
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a length comes first");
    let length = usize::try_from(u64::from_le_bytes(*length)).expect("it fits");
    let header: Value = serde_json::from_slice(&rest[..length]).expect("the header is JSON");
    let text = header["__metadata__"]["description"].as_str().expect("is a text");
    serde_json::from_str(text).expect("the description is JSON")
}
