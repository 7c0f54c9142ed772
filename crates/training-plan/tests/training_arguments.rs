//! Training arguments through the public surface: every key, rule, default and combination.

use proptest::prelude::*;
use protocol::Warning;
use serde_json::{Map, Value, json};
use training_plan::arguments::{ArgumentError, TrainingArguments, TrainingLength};
use training_plan::metric::Metric;

fn parse(value: Value) -> TrainingArguments {
    TrainingArguments::parse(&value).unwrap_or_else(|error| panic!("{error}"))
}

fn refuse(value: &Value) -> ArgumentError {
    match TrainingArguments::parse(value) {
        Ok(_) => panic!("{value} was accepted"),
        Err(error) => error,
    }
}

#[test]
fn nothing_given_is_the_table_of_defaults() {
    let exported = parse(json!({})).to_json();
    let expected = json!({
        "batch_maxnum": null,
        "dp_args": null,
        "dry_run": false,
        "epochs": 1,
        "fedprox_mu": null,
        "gradient_clip_norm": null,
        "loader_args": {"batch_size": 48, "drop_last": false, "shuffle": true},
        "log_interval": 10,
        "optimizer_args": {},
        "random_seed": null,
        "share_persistent_buffers": true,
        "shuffle_testing_dataset": false,
        "stratify": false,
        "test_batch_size": 0,
        "test_metric": null,
        "test_metric_args": {},
        "test_on_global_updates": false,
        "test_on_local_updates": false,
        "test_ratio": 0.0,
        "use_gpu": false,
    });
    assert_eq!(exported.to_string(), expected.to_string());
    assert_eq!(parse(json!({})), TrainingArguments::default());
}

#[test]
fn each_key_takes_what_its_row_says() {
    for (key, value) in [
        ("epochs", json!(0)),
        ("epochs", json!(3.0)),
        ("num_updates", json!(1)),
        ("num_updates", json!(null)),
        ("batch_maxnum", json!(0)),
        ("batch_maxnum", json!(null)),
        ("batch_maxnum", json!(7.0)),
        ("dry_run", json!(true)),
        ("log_interval", json!(1)),
        ("fedprox_mu", json!(0)),
        ("fedprox_mu", json!(0.1)),
        ("fedprox_mu", json!(null)),
        ("use_gpu", json!(true)),
        ("random_seed", json!(18_446_744_073_709_551_615_u64)),
        ("random_seed", json!(null)),
        ("share_persistent_buffers", json!(false)),
        ("gradient_clip_norm", json!(1)),
        ("gradient_clip_norm", json!(null)),
        ("loader_args", json!({"batch_size": 1, "shuffle": false, "drop_last": true})),
        ("batch_size", json!(1)),
        ("optimizer_args", json!({"lr": 1, "betas": [0.9, 0.99]})),
        ("test_ratio", json!(0)),
        ("test_ratio", json!(1)),
        ("test_ratio", json!(0.25)),
        ("test_on_local_updates", json!(true)),
        ("test_on_global_updates", json!(true)),
        ("test_metric", json!("Roc_Auc")),
        ("test_metric", json!(null)),
        ("test_metric_args", json!({"average": "macro"})),
        ("test_batch_size", json!(0)),
        ("test_batch_size", json!(10)),
        ("stratify", json!(true)),
        ("shuffle_testing_dataset", json!(true)),
        ("dp_args", json!(null)),
    ] {
        parse(json!({key: value}));
    }
}

#[test]
fn each_key_refuses_what_its_row_forbids() {
    for (key, values) in [
        ("epochs", vec![json!(-1), json!(1.5), json!("1"), json!(true), json!(null), json!(1e300)]),
        ("num_updates", vec![json!(0), json!(-1), json!(0.5), json!(true), json!("5")]),
        ("batch_maxnum", vec![json!(-1), json!(true), json!([])]),
        ("dry_run", vec![json!(0), json!(1), json!("true"), json!(null)]),
        ("log_interval", vec![json!(0), json!(true), json!(null)]),
        ("fedprox_mu", vec![json!(-0.1), json!(true), json!("0.1")]),
        ("use_gpu", vec![json!(1), json!(null)]),
        ("random_seed", vec![json!(0.5), json!(true), json!(-1)]),
        ("share_persistent_buffers", vec![json!(null), json!(1)]),
        ("gradient_clip_norm", vec![json!(0), json!(-1), json!(false)]),
        ("loader_args", vec![json!(null), json!([]), json!(48)]),
        ("batch_size", vec![json!(0), json!(true), json!("48"), json!(null)]),
        ("optimizer_args", vec![json!(null), json!(0.1)]),
        ("test_ratio", vec![json!(2.0), json!(-0.1), json!(true), json!("0.2"), json!(null)]),
        ("test_on_local_updates", vec![json!(0), json!(null)]),
        ("test_on_global_updates", vec![json!("yes")]),
        ("test_metric", vec![json!("ACC"), json!(1), json!(true), json!({})]),
        ("test_metric_args", vec![json!(null), json!([])]),
        ("test_batch_size", vec![json!(-1), json!(true), json!(null)]),
        ("stratify", vec![json!(1)]),
        ("shuffle_testing_dataset", vec![json!(null)]),
        ("dp_args", vec![json!(true), json!(1.0)]),
    ] {
        for value in values {
            let error = refuse(&json!({key: value}));
            assert_eq!((error.key(), error.value()), (key, &value));
        }
    }
}

#[test]
fn members_are_named_with_their_group() {
    for (given, key) in [
        (json!({"loader_args": {"batch_size": 0}}), "loader_args.batch_size"),
        (json!({"loader_args": {"batchsize": 4}}), "loader_args.batchsize"),
        (json!({"optimizer_args": {"lr": 0}}), "optimizer_args.lr"),
        (json!({"optimizer_args": {"lr": true}}), "optimizer_args.lr"),
        (json!({"test_metric_args": {"averge": "macro"}}), "test_metric_args.averge"),
        (json!({"test_metric_args": {"average": "median"}}), "test_metric_args.average"),
    ] {
        assert_eq!(refuse(&given).key(), key);
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    for (written, nearest) in [
        ("epoch", "epochs"),
        ("batchsize", "batch_size"),
        ("lr", "optimizer_args.lr"),
        ("test_on_local_update", "test_on_local_updates"),
        ("Stratify", "stratify"),
    ] {
        let error = refuse(&json!({written: 1}));
        assert_eq!(
            error.rule().to_string(),
            format!("is not a known name; the nearest is \"{nearest}\"")
        );
    }
    assert_eq!(
        refuse(&json!({"loader_args": {"suffle": true}})).rule().to_string(),
        "is not a known name; the nearest is \"loader_args.shuffle\""
    );
}

#[test]
fn only_an_object_holds_arguments() {
    for value in [json!(null), json!([]), json!("epochs"), json!(1), json!(true)] {
        assert_eq!(refuse(&value).key(), "training_args");
    }
}

#[test]
fn updates_exclude_epochs_and_their_limit() {
    let updates = parse(json!({"num_updates": 100.0})).training().length;
    assert!(matches!(updates, TrainingLength::Updates(count) if count.get() == 100));
    for (other, value) in [("epochs", 1), ("batch_maxnum", 5), ("batch_maxnum", 0)] {
        let error = refuse(&json!({"num_updates": 100, other: value}));
        assert_eq!(error.key(), "num_updates");
        assert_eq!(error.rule().to_string(), format!("cannot be given together with \"{other}\""));
    }
    parse(json!({"num_updates": 100, "batch_maxnum": null}));
    let exported = parse(json!({"num_updates": 100})).to_json();
    assert_eq!(exported.get("epochs"), None);
}

#[test]
fn the_batch_size_may_stand_at_the_top_but_only_once() {
    let top = parse(json!({"batch_size": 16}));
    assert_eq!(top, parse(json!({"loader_args": {"batch_size": 16.0}})));
    let error = refuse(&json!({"batch_size": 16, "loader_args": {"batch_size": 32}}));
    assert_eq!(error.key(), "batch_size");
}

#[test]
fn privacy_is_checked_member_by_member_and_then_refused() {
    let whole = json!({"type": "local", "sigma": 1.0, "clip": 1, "delta": 1e-5});
    let error = refuse(&json!({"dp_args": whole}));
    assert_eq!(error.key(), "dp_args");
    assert_eq!(error.rule().to_string(), "is not available in this version");
    for member in ["type", "sigma", "clip", "delta"] {
        let mut part = whole.as_object().expect("is an object").clone();
        part.shift_remove(member);
        let error = refuse(&json!({"dp_args": part}));
        assert_eq!(error.key(), format!("dp_args.{member}"));
        assert_eq!(error.rule().to_string(), "is required");
    }
    for (member, value) in
        [("type", json!("globl")), ("sigma", json!(0)), ("clip", json!(true)), ("delta", json!(1))]
    {
        let mut wrong = whole.as_object().expect("is an object").clone();
        wrong.insert(member.into(), value.clone());
        let error = refuse(&json!({"dp_args": wrong}));
        assert_eq!((error.key(), error.value()), (&*format!("dp_args.{member}"), &value));
    }
    let error = refuse(&json!({"dp_args": {"epsilon": 1}}));
    assert_eq!(error.key(), "dp_args.epsilon");
}

#[test]
fn a_metric_judges_its_own_options() {
    let given = json!({"test_metric": "f1_score", "test_metric_args": {"average": "samples"}});
    assert_eq!(parse(given).validation().metric, Some(Metric::F1Score));
    for (metric, args) in [
        ("ACCURACY", json!({"average": "macro"})),
        ("MEAN_SQUARE_ERROR", json!({"threshold": 0.3})),
        ("ROC_AUC", json!({"average": "micro"})),
        ("F1_SCORE", json!({"zero_division": 2})),
        ("F1_SCORE", json!({"threshold": 1})),
        ("F1_SCORE", json!({"pos_label": true})),
        ("R2_SCORE", json!({"multioutput": "all"})),
    ] {
        let error = refuse(&json!({"test_metric": metric, "test_metric_args": args}));
        assert!(error.key().starts_with("test_metric_args."), "{error}");
    }
}

#[test]
fn all_errors_are_listed_and_the_first_is_the_first() {
    let given =
        json!({"epoch": 1, "log_interval": 0, "batch_size": 0, "test_ratio": 3, "dp_args": 1});
    let errors = TrainingArguments::parse_all(&given).expect_err("five are wrong");
    let keys: Vec<&str> = errors.iter().map(ArgumentError::key).collect();
    assert_eq!(keys, ["epoch", "log_interval", "batch_size", "test_ratio", "dp_args"]);
    assert_eq!(refuse(&given), errors[0]);
}

#[test]
fn what_is_probably_not_meant_gives_one_warning_each() {
    let warnings = |value: Value| parse(value).warnings();
    assert_eq!(warnings(json!({"test_ratio": 0.2})), [Warning::ValidationSplitUnused]);
    assert_eq!(
        warnings(json!({"test_on_local_updates": true, "test_on_global_updates": true})),
        [Warning::ValidationNoSplit]
    );
    assert_eq!(
        warnings(json!({
            "test_ratio": 0.2, "test_on_global_updates": true, "shuffle_testing_dataset": true
        })),
        [Warning::ValidationSplitChanges]
    );
    assert_eq!(warnings(json!({"test_ratio": 0.2, "test_on_local_updates": true})), []);
    assert_eq!(warnings(json!({})), []);
}

/// Any JSON value, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3_i8..60).prop_map(|number| Value::from(f64::from(number) / 2.0)),
        prop_oneof!["[a-zA-Z_]{0,12}", ".{0,8}", Just("F1_SCORE".to_owned())].prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((any_key(), inner), 0..6)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let known = TrainingArguments::default().to_json();
    let mut keys: Vec<String> = known.as_object().expect("is an object").keys().cloned().collect();
    keys.extend(
        ["num_updates", "batch_size", "lr", "type", "sigma", "clip", "delta", "average"]
            .map(str::to_owned),
    );
    prop_oneof![9 => proptest::sample::select(keys), 1 => ".{0,12}"]
}

/// Arguments that are right, built from the rules.
fn right_arguments() -> impl Strategy<Value = Value> {
    let training = (
        prop_oneof![
            (0_u64..9, proptest::option::of(0_u64..9))
                .prop_map(|(epochs, most)| { json!({"epochs": epochs, "batch_maxnum": most}) }),
            (1_u64..999).prop_map(|updates| json!({"num_updates": updates})),
        ],
        any::<[bool; 7]>(),
        1_u64..50,
        proptest::option::of(0.0_f64..2.0),
        proptest::option::of(any::<u64>()),
        proptest::option::of(0.001_f64..9.0),
    );
    let validation = (
        0.0_f64..=1.0,
        proptest::option::of(proptest::sample::select(Metric::ALL.to_vec())),
        0_u64..100,
    );
    let optimizer = (proptest::option::of(1e-9_f64..1.0), any_json());
    (training, 1_u64..100, optimizer, validation).prop_map(
        |((length, flags, log_interval, mu, seed, norm), batch_size, (rate, rest), validation)| {
            let mut object = json!({
                "dry_run": flags[0], "log_interval": log_interval, "fedprox_mu": mu,
                "use_gpu": flags[1], "random_seed": seed, "gradient_clip_norm": norm,
                "share_persistent_buffers": flags[2],
                "loader_args": {"batch_size": batch_size, "shuffle": flags[3]},
                "optimizer_args": {"rest": rest, "another": 1},
                "test_ratio": validation.0, "test_metric": validation.1,
                "test_batch_size": validation.2, "stratify": flags[4],
                "test_on_local_updates": flags[5], "test_on_global_updates": flags[6],
            });
            let target = object.as_object_mut().expect("is an object");
            target.extend(length.as_object().expect("is an object").clone());
            if let Some(rate) = rate {
                object["optimizer_args"]["lr"] = rate.into();
            }
            object
        },
    )
}

proptest! {
    #[test]
    fn any_json_is_parsed_or_refused(value in any_json()) {
        match TrainingArguments::parse_all(&value) {
            Ok(arguments) => {
                prop_assert_eq!(TrainingArguments::parse(&arguments.to_json()), Ok(arguments));
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.to_string().chars().count() < 500);
                }
            }
        }
    }

    #[test]
    fn what_is_exported_is_parsed_back(value in right_arguments()) {
        let arguments = TrainingArguments::parse(&value).expect("built from the rules");
        let exported = arguments.to_json();
        let again = TrainingArguments::parse(&exported).expect("an export is right");
        prop_assert_eq!(again.to_json().to_string(), exported.to_string());
        prop_assert_eq!(again, arguments);
    }
}
