//! `wardround plan …`, on the researcher's own machine.

use crate::place::Place;

#[test]
fn a_plan_is_checked_and_named_by_its_digest() {
    let place = Place::with_examples();
    place.snapshot("plan-check", &["plan", "check", "logistic.toml"]);
    place.snapshot("plan-check-json", &["plan", "check", "logistic.toml", "--json"]);
    place.snapshot("plan-check-data", &["plan", "check", "logistic.toml", "--data", "north.csv"]);
    place.snapshot("plan-digest", &["plan", "digest", "logistic.toml"]);
    place.snapshot("plan-digest-json", &["plan", "digest", "logistic.toml", "--json"]);
}

#[test]
fn a_plans_digest_is_the_same_everywhere() {
    let place = Place::with_examples();
    // Nodes approve by this digest: if it changes, every approval that hospitals gave is void.
    assert_eq!(
        place.done(&["plan", "digest", "logistic.toml"]).trim(),
        "sha256:670804152c0261ddddae9f08c8d7357cb8f730b0eb985dfaedc199565ec0de9b"
    );
}

#[test]
fn a_plan_that_breaks_a_rule_names_line_key_and_rule() {
    let place = Place::with_examples();
    let plan = std::fs::read_to_string(place.path("logistic.toml")).expect("was copied");
    let broken = [
        ("unknown-key", plan.replace("missing = \"error\"", "mising = \"error\"")),
        ("unknown-layer", plan.replace("{ dense = { units = 1 } }", "{ dens = { units = 1 } }")),
        ("impossible-shape", plan.replace("{ units = 1 } }", "{ units = 3 } }")),
        ("no-units", plan.replace("{ units = 1 } }", "{ units = 0 } }")),
        ("no-toml", plan.replace("[model]", "[model")),
        ("no-such-scale", plan.replace("\"scale.toml\"", "\"scales.toml\"")),
        ("unknown-optimizer", plan.replace("kind = \"sgd\"", "kind = \"sdg\"")),
        ("loss-of-another-task", plan.replace("binary_cross_entropy", "mean_squared_error")),
        ("empty", String::new()),
    ];
    for (name, text) in broken {
        place.write("plan.toml", text);
        place.snapshot(&format!("plan-check-{name}"), &["plan", "check", "plan.toml"]);
    }
    place.write("logistic.toml", plan.replace("missing = \"error\"", "mising = \"error\""));
    place.snapshot("plan-check-unknown-key-json", &["plan", "check", "logistic.toml", "--json"]);
    place.snapshot("plan-check-no-file", &["plan", "check", "nowhere.toml"]);
    place.snapshot("plan-digest-no-file", &["plan", "digest", "nowhere.toml"]);
}

#[test]
fn an_unscaled_plan_is_warned_of_where_the_columns_differ_in_magnitude() {
    let place = Place::with_examples();
    let plan = std::fs::read_to_string(place.path("logistic.toml")).expect("was copied");
    let unscaled: String = plan
        .replace("standardize = \"declared\"", "standardize = \"none\"")
        .lines()
        .filter(|line| !line.starts_with("scale ="))
        .map(|line| format!("{line}\n"))
        .collect();
    place.write("unscaled.toml", unscaled);
    let check = ["plan", "check", "unscaled.toml", "--data"];
    place.snapshot("plan-check-unscaled", &[&check[..], &["north.csv"]].concat());
    place.write("other.csv", "a,b\n1,2\n3,4\n");
    place.snapshot("plan-check-no-target", &[&check[..], &["other.csv"]].concat());
    place.snapshot("plan-check-no-table", &[&check[..], &["nowhere.csv"]].concat());
    place.write("gaps.csv", "diagnosis,a\nM,1\nB,\nB,3\n");
    place.snapshot("plan-check-gaps", &[&check[..], &["gaps.csv"]].concat());
}
