//! Descriptions: what is refused and with which words; parameters, initialisation, prediction.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use engine::{LayerDescription, Model, ModelDescription, Optimizer, description};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn describe(inputs: usize, init: &str, layers: Value) -> ModelDescription {
    serde_json::from_value(json!({ "inputs": inputs, "init": init, "layers": layers })).unwrap()
}

fn layer_error(entry: Value) -> String {
    serde_json::from_value::<LayerDescription>(entry).unwrap_err().to_string()
}

#[test]
fn a_layer_that_cannot_be_names_its_key_and_rule() {
    for (entry, message) in [
        (
            json!({ "dense": {} }),
            "layer dense lacks the key \"units\", which must be an integer of at least 1",
        ),
        (
            json!({ "dense": { "units": 2.5 } }),
            "layer dense: \"units\" must be an integer of at least 1, found 2.5",
        ),
        (
            json!({ "dense": { "units": true } }),
            "layer dense: \"units\" must be an integer of at least 1, found true",
        ),
        (
            json!({ "dense": { "units": 1, "bias": 1 } }),
            "layer dense: \"bias\" must be true or false, found 1",
        ),
        (
            json!({ "dense": { "units": 1, "unit": 1 } }),
            "layer dense has no key \"unit\"; it takes units, bias",
        ),
        (
            json!({ "dropout": { "rate": 1.0 } }),
            "layer dropout: \"rate\" must be a number from 0 to below 1, found 1.0",
        ),
        (
            json!({ "layer_norm": { "epsilon": 0 } }),
            "layer layer_norm: \"epsilon\" must be a number above 0, found 0",
        ),
        (json!({ "relu": { "slope": 1 } }), "layer relu has no key \"slope\"; it takes none"),
        (json!({ "relu": 3 }), "layer: \"settings\" must be a map, found 3"),
        (
            json!({ "relu": {}, "tanh": {} }),
            "a layer must be one name with its settings, found 2 names",
        ),
    ] {
        assert_eq!(layer_error(entry), message);
    }
}

#[test]
fn an_unknown_layer_lists_the_known_ones_and_hints_at_the_nearest() {
    let error = LayerDescription::parse("dens", &Map::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer \"dens\" is unknown; known are dense, dropout, elu, gelu, identity, layer_norm, \
         leaky_relu, relu, sigmoid, silu, softplus, tanh",
    );
    assert_eq!(error.hint().unwrap(), "did you mean \"dense\"?");
    let error = LayerDescription::parse("transformer_block", &Map::new()).unwrap_err();
    assert_eq!(error.hint(), None);
}

#[test]
fn an_integral_float_is_a_size() {
    let model = Model::new(&describe(2, "zeros", json!([{ "dense": { "units": 3.0 } }]))).unwrap();
    assert_eq!(model.outputs(), 3);
}

#[test]
fn models_that_cannot_be_are_refused() {
    let refuse =
        |inputs, layers| Model::new(&describe(inputs, "he", layers)).unwrap_err().to_string();
    let dense = json!({ "dense": { "units": 1 } });
    assert_eq!(refuse(0, json!([dense])), "model: needs at least one input");
    assert_eq!(refuse(3, json!([])), "model: has no layer with parameters");
    assert_eq!(refuse(3, json!([{ "relu": {} }])), "model: has no layer with parameters");
    assert_eq!(
        refuse(3, json!([dense, { "layer_norm": {} }])),
        "layer 1 (layer_norm): needs at least 2 numbers in the last dimension",
    );
    assert_eq!(
        refuse(3, json!([{ "dense": { "units": 9_000_000_000_000_000_000_u64 } }])),
        "model: has a tensor of more than 2^31 − 1 numbers",
    );
    let key = json!({ "inputs": 1, "layers": [], "seed": 1 });
    assert!(serde_json::from_value::<ModelDescription>(key).is_err());
}

#[test]
fn optimizers_refuse_settings_outside_their_range() {
    let refuse = |value: Value| serde_json::from_value::<Optimizer>(value).unwrap_err().to_string();
    for (settings, message) in [
        (
            json!({ "kind": "sgd", "lr": 0 }),
            "optimizer sgd: \"lr\" must be a number above 0, found 0",
        ),
        (
            json!({ "kind": "sgd", "nesterov": true }),
            "optimizer sgd: \"nesterov\" needs a momentum above 0 and no dampening, found true",
        ),
        (
            json!({ "kind": "adam", "betas": [0.9] }),
            "optimizer adam: \"betas\" must be a list of two numbers, found [0.9]",
        ),
        (
            json!({ "kind": "adam", "momentum": 0.9 }),
            "optimizer adam has no key \"momentum\"; it takes lr, betas, eps, weight_decay, amsgrad",
        ),
        (
            json!({ "kind": "adamx" }),
            "optimizer \"adamx\" is unknown; known are adagrad, adam, adamw, rmsprop, sgd",
        ),
        (json!({ "lr": 1 }), "optimizer: \"kind\" must be a text, found nothing"),
    ] {
        assert_eq!(refuse(settings), message);
    }
    let error = Optimizer::parse("rms_prop", &Map::new()).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean \"rmsprop\"?");
}

#[test]
fn parameters_have_stable_names_shapes_and_first_numbers() {
    let layers = json!([
        { "dense": { "units": 4, "bias": false } }, { "layer_norm": {} }, { "tanh": {} },
        { "dense": { "units": 2 } },
    ]);
    let mut model = Model::new(&describe(3, "he", layers)).unwrap();
    model.initialise(&|_| [1; 32]);
    let found: Vec<_> = model.parameters().map(|p| (p.name.to_owned(), p.shape.to_vec())).collect();
    let expected = [
        ("layers.0.weight", vec![3, 4]),
        ("layers.1.scale", vec![4]),
        ("layers.1.bias", vec![4]),
        ("layers.3.weight", vec![4, 2]),
        ("layers.3.bias", vec![2]),
    ];
    assert_eq!(found, expected.map(|(name, shape)| (name.to_owned(), shape)));
    let values: Vec<&[f32]> = model.parameters().map(|p| p.values).collect();
    assert_eq!((values[1], values[2], values[4]), (&[1.0; 4][..], &[0.0; 4][..], &[0.0; 2][..]));
    assert!(values[0].iter().all(|weight| *weight != 0.0));
    assert_eq!(model.size(), 12 + 4 + 4 + 8 + 2);
}

#[test]
fn initialisations_have_their_documented_spread() {
    // 400 inputs and 100 units; tolerance five standard errors of a variance over 40 000 draws.
    for (init, variance) in [
        ("uniform", 1.0 / 400.0 / 3.0),
        ("normal", 1.0 / 400.0),
        ("xavier", 6.0 / 500.0 / 3.0),
        ("he", 2.0 / 400.0),
    ] {
        let description = describe(400, init, json!([{ "dense": { "units": 100 } }]));
        let mut model = Model::new(&description).unwrap();
        model.initialise(&|_| [3; 32]);
        let weights = model.parameters().next().unwrap().values;
        let found = weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / 40_000.0;
        assert!(
            (found / variance - 1.0).abs() < 5.0 * (2.0 / 40_000.0_f64).sqrt(),
            "{init} {found}"
        );
    }
}

fn first_weights(init: &str, layers: Value) -> Vec<f32> {
    let mut model = Model::new(&describe(2, init, layers)).unwrap();
    model.initialise(&|name| [u8::try_from(name.len()).unwrap(); 32]);
    model.parameters().next().unwrap().values.to_vec()
}

#[test]
fn first_numbers_are_pinned() {
    // Computed from the words of an independent ChaCha8 (python, after RFC 8439 with 8 rounds).
    let layers = json!([{ "dense": { "units": 2 } }]);
    assert_eq!(
        first_weights("xavier", layers.clone()),
        [-0.126_071_99, 0.723_640_7, -0.841_667_83, -1.111_936_1],
    );
    let normal = [1.207_319_1, 0.359_446_14, -0.367_896_85, -0.042_437_267];
    for (found, expected) in first_weights("normal", layers).iter().zip(normal) {
        // Tolerance: mathematical libraries differ in the last place.
        assert!((found - expected).abs() < 1e-7, "{found} {expected}");
    }
}

#[test]
fn a_tensors_first_numbers_depend_on_that_tensor_alone() {
    let alone = json!([{ "dense": { "units": 2 } }]);
    let followed = json!([{ "dense": { "units": 2 } }, { "dense": { "units": 5 } }]);
    assert_eq!(first_weights("xavier", alone), first_weights("xavier", followed));
}

#[test]
fn set_refuses_unknown_names_and_wrong_sizes() {
    let mut model =
        Model::new(&describe(2, "zeros", json!([{ "dense": { "units": 1 } }]))).unwrap();
    assert_eq!(
        model.set("layers.1.weight", &[0.0]).unwrap_err().to_string(),
        "the model has no parameter \"layers.1.weight\"",
    );
    assert_eq!(
        model.set("layers.0.weight", &[0.0]).unwrap_err().to_string(),
        "parameter \"layers.0.weight\" has 2 numbers, found 1",
    );
    model.set("layers.0.weight", &[2.0, -1.0]).unwrap();
    model.set("layers.0.bias", &[0.5]).unwrap();
    assert_eq!(model.predict(&[1.0, 1.0, 0.0, 3.0]).unwrap(), [1.5, -2.5]);
    assert_eq!(model.predict(&[]).unwrap(), [0.0; 0]);
    assert!(model.predict(&[1.0]).is_err());
}

#[test]
fn a_clone_does_not_change_with_its_origin() {
    let mut model =
        Model::new(&describe(2, "zeros", json!([{ "dense": { "units": 1 } }]))).unwrap();
    let copy = model.clone();
    model.set("layers.0.weight", &[1.0, 1.0]).unwrap();
    assert_eq!(copy.predict(&[1.0, 1.0]).unwrap(), [0.0]);
    assert_eq!(model.predict(&[1.0, 1.0]).unwrap(), [2.0]);
}

#[test]
fn memory_grows_with_rows_and_never_overflows() {
    let description =
        describe(784, "zeros", json!([{ "dense": { "units": 256 } }, { "relu": {} }]));
    let model = Model::new(&description).unwrap();
    let parameters = (784 * 256 + 256) * 4;
    assert!(model.estimate_memory(1) >= 2 * parameters);
    assert!(model.estimate_memory(64) > model.estimate_memory(32));
    assert_eq!(model.estimate_memory(usize::MAX), u64::MAX);
    assert_eq!(Model::estimate_memory_of(&description, 64), Ok(model.estimate_memory(64)));
}

#[test]
fn memory_of_a_description_is_known_before_it_is_taken() {
    // Two tensors of 4 GB and their gradients, from a description of a few bytes.
    let wide = json!({ "dense": { "units": 1_000_000_000, "bias": false } });
    let description = describe(1, "zeros", json!([wide, { "dense": { "units": 1 } }]));
    let estimate = Model::estimate_memory_of(&description, 1).unwrap();
    assert!(estimate > 16_000_000_000, "{estimate}");
}

#[test]
fn errors_of_descriptions_are_comparable() {
    let error = LayerDescription::parse("dense", &Map::new()).unwrap_err();
    assert!(matches!(error, description::Error::Missing { key: "units", .. }));
}

fn any_layer() -> impl Strategy<Value = Value> {
    prop_oneof![
        (1_usize..6).prop_map(|units| json!({ "dense": { "units": units } })),
        (0.0..0.9_f64).prop_map(|rate| json!({ "dropout": { "rate": rate } })),
        Just(json!({ "layer_norm": {} })),
        prop::sample::select(vec!["relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid"])
            .prop_map(|name| json!({ name: {} })),
    ]
}

proptest! {
    #[test]
    fn a_model_is_refused_or_predicts_each_row_by_itself(
        layers in prop::collection::vec(any_layer(), 1..6),
        features in prop::collection::vec(-3.0..3.0_f32, 12),
    ) {
        let Ok(mut model) = Model::new(&describe(4, "xavier", json!(layers))) else {
            return Ok(());
        };
        model.initialise(&|_| [4; 32]);
        let together = model.predict(&features).unwrap();
        prop_assert_eq!(together.len(), 3 * model.outputs());
        prop_assert!(together.iter().all(|output| output.is_finite()));
        let each: Vec<f32> =
            features.chunks(4).flat_map(|row| model.predict(row).unwrap()).collect();
        for (one, other) in together.iter().zip(&each) {
            // Tolerance: products are summed in another order for one row than for three, and a
            // normalisation of nearly equal numbers magnifies that by up to 1/√epsilon.
            prop_assert!((one - other).abs() <= 2e-3 * one.abs().max(1.0), "{} {}", one, other);
        }
    }

    #[test]
    fn no_settings_make_a_layer_panic(name in "[a-z_]{1,12}", key in "[a-z]{1,8}", number: f64) {
        let names: Vec<_> = LayerDescription::names().map(str::to_owned).chain([name]).collect();
        let keys = ["units", "rate", "epsilon", "alpha", "slope", "bias", &key];
        for value in [json!(number), json!(null), json!([]), json!("x"), json!(u64::MAX)] {
            for (name, key) in names.iter().flat_map(|name| keys.map(|key| (name, key))) {
                let settings = Map::from_iter([(key.to_owned(), value.clone())]);
                let _ = LayerDescription::parse(name, &settings);
            }
        }
    }
}
