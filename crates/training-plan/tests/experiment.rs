//! What an experiment file may say, and how each refusal reads.

use std::time::Duration;

use training_plan::experiment::{Experiment, Selection, Start, Strategy, Weights};

const FILE: &str = r#"[experiment]
name = "breast cancer, logistic"
tags = ["breast-cancer"]
plan = "logistic.toml"
rounds = 20
seed = 18446744073709551615
min_nodes = 2
round_deadline = "60s"
[model_args]
[strategy]
kind = "fed_avg"
[training_args]
epochs = 1
test_ratio = 0.2
test_on_global_updates = true
[training_args.loader_args]
batch_size = 32
shuffle = true
[training_args.optimizer_args]
lr = 0.1
"#;

#[test]
fn the_example_says_what_it_says_and_the_rest_has_defaults() {
    let experiment = Experiment::parse("experiment.toml", FILE).expect("the file is right");
    assert_eq!(experiment.name, "breast cancer, logistic");
    assert_eq!(experiment.selection, Selection::Tags(vec!["breast-cancer".to_owned()]));
    assert_eq!(experiment.plan, "logistic.toml");
    assert_eq!((experiment.rounds, experiment.seed), (20, Some(u64::MAX)));
    assert_eq!(experiment.minimum_nodes, 2);
    assert_eq!(experiment.round_deadline, Duration::from_secs(60));
    assert_eq!(experiment.selection_deadline, Duration::from_secs(600));
    assert_eq!(experiment.approval_deadline, None);
    assert_eq!(experiment.start, Start::All);
    assert_eq!(experiment.round_retries, 2);
    assert!(!experiment.keep_models && !experiment.keep_updates);
    assert_eq!(experiment.strategy, Strategy::FedAvg { weights: Weights::Samples });
    assert!(experiment.model_args.is_empty());
    assert_eq!(experiment.training_args["loader_args"]["batch_size"], 32);
    assert_eq!(experiment.training_arguments().loader().batch_size.get(), 32);
}

#[test]
fn nodes_named_one_by_one_must_all_answer_unless_said_otherwise() {
    let text = FILE
        .replace("tags = [\"breast-cancer\"]", "nodes = [\"north\", \"south\", \"west\"]")
        .replace("min_nodes = 2\n", "");
    let experiment = Experiment::parse("experiment.toml", &text).expect("the file is right");
    assert_eq!(experiment.minimum_nodes, 3);
}

#[test]
fn a_loading_plan_is_named_with_its_version_or_in_any() {
    let with = |plan: &str| {
        let text = FILE.replacen("plan =", &format!("loading_plan = \"{plan}\"\nplan ="), 1);
        Experiment::parse("experiment.toml", &text)
    };
    for plan in ["tumour-board", "tumour-board@2"] {
        assert_eq!(with(plan).expect("is a name").loading_plan.as_deref(), Some(plan));
    }
    assert_eq!(Experiment::parse("experiment.toml", FILE).expect("is right").loading_plan, None);
    for plan in ["", "@2", "board@", "board@0", "board@02", "board@two", "a b", "-board"] {
        let error = with(plan).expect_err(plan).to_string();
        assert!(error.contains("must be the name of a data loading plan"), "{error}");
    }
}

#[test]
fn each_refusal_names_line_key_and_rule() {
    let golden = [
        (
            ("rounds = 20", "round = 20"),
            "experiment.toml, line 5: unknown key \"experiment.round\" | did you mean \"rounds\"?",
        ),
        (
            ("rounds = 20", "rounds = 0"),
            "experiment.toml, line 5: key \"experiment.rounds\" must be from 1 to 100000, found 0",
        ),
        (
            ("seed = 18446744073709551615", "seed = -1"),
            "experiment.toml, line 6: key \"experiment.seed\" must be at least 0, found -1",
        ),
        (
            ("seed = 18446744073709551615", "seed = 18446744073709551616"),
            "experiment.toml, line 6: key \"experiment.seed\" must fit into 64 bits",
        ),
        (
            ("tags = [\"breast-cancer\"]\n", ""),
            "experiment.toml, line 1: key \"experiment.tags\" is missing | or give \"nodes\"",
        ),
        (
            ("tags = [", "nodes = [\"north\"]\ntags = ["),
            "experiment.toml, line 3: key \"experiment.nodes\" must be absent where \"tags\" is given",
        ),
        (
            ("tags = [\"breast-cancer\"]", "nodes = [\"north/1\"]"),
            "experiment.toml, line 3: key \"experiment.nodes\" must hold names of nodes, \"north/1\" \
             is none",
        ),
        (
            ("tags = [\"breast-cancer\"]", "nodes = [\"north\"]"),
            "experiment.toml, line 7: key \"experiment.min_nodes\" must be at most 1, the number of \
             nodes, found 2",
        ),
        (
            ("\"60s\"", "60"),
            "experiment.toml, line 8: key \"experiment.round_deadline\" must be a string, found an \
             integer",
        ),
        (
            ("\"60s\"", "\"60\""),
            "experiment.toml, line 8: key \"experiment.round_deadline\" must be a duration from 1ms \
             to 365d, found \"60\" | write a whole number and ms, s, m, h or d: \"60s\"",
        ),
        (
            ("min_nodes = 2", "start = \"quorm\""),
            "experiment.toml, line 7: key \"experiment.start\" must be one of all, quorum, found \
             \"quorm\" | did you mean \"quorum\"?",
        ),
        (
            ("\"fed_avg\"", "\"fed_avg\"\nweights = \"rows\""),
            "experiment.toml, line 12: key \"strategy.weights\" must be one of samples, uniform, \
             found \"rows\"",
        ),
    ];
    for ((from, to), message) in golden {
        assert_eq!(refused(from, to), message);
    }
}

#[test]
fn a_wrong_training_argument_is_refused_with_its_line() {
    let message = refused("batch_size = 32", "batch_size = 0");
    let start = "experiment.toml, line 17: key \"training_args.loader_args.batch_size\" ";
    assert!(message.starts_with(start), "{message}");
    let message = refused("epochs = 1", "epoch = 1");
    assert!(
        message.starts_with("experiment.toml, line 13: key \"training_args.epoch\" "),
        "{message}"
    );
}

fn refused(from: &str, to: &str) -> String {
    assert!(FILE.contains(from), "{from:?} stands in the file");
    let error = Experiment::parse("experiment.toml", &FILE.replacen(from, to, 1))
        .expect_err("the file breaks a rule");
    match error.hint() {
        Some(hint) => format!("{error} | {hint}"),
        None => error.to_string(),
    }
}
