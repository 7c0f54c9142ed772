//! Whole training runs: against numpy in double precision, and what a trainer promises.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use engine::{
    Batch, Loss, Model, ModelDescription, Optimizer, Schedule, Trainer, TrainerSettings, trainer,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// One run of `fixtures/make.py`.
#[derive(Deserialize)]
struct Run {
    name: String,
    inputs: usize,
    layers: Value,
    loss: Loss,
    optimizer: Optimizer,
    #[serde(default)]
    schedule: Schedule,
    #[serde(default)]
    first_step: u64,
    fedprox_mu: Option<f64>,
    gradient_clip_norm: Option<f64>,
    start: BTreeMap<String, Vec<f32>>,
    batches: Vec<Rows>,
    losses: Vec<f64>,
    end: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Rows {
    features: Vec<f32>,
    targets: Vec<f32>,
}

impl Rows {
    fn batch(&self) -> Batch<'_> {
        Batch { features: &self.features, targets: &self.targets, dropout_seed: [0; 32] }
    }
}

fn model(inputs: usize, layers: Value) -> Model {
    let description = json!({ "inputs": inputs, "init": "xavier", "layers": layers });
    let description: ModelDescription = serde_json::from_value(description).unwrap();
    let mut model = Model::new(&description).unwrap();
    model.initialise(&|name| {
        let mut seed = [0; 32];
        seed[..name.len()].copy_from_slice(name.as_bytes());
        seed
    });
    model
}

fn settings(loss: Value, optimizer: Value) -> TrainerSettings {
    TrainerSettings::new(
        serde_json::from_value(loss).unwrap(),
        serde_json::from_value(optimizer).unwrap(),
    )
}

fn parameters(model: &Model) -> Vec<Vec<f32>> {
    model.parameters().map(|parameter| parameter.values.to_vec()).collect()
}

/// Rows that no seed is needed for.
fn rows(count: u16, inputs: u16, classes: u16) -> Rows {
    let wave = |position: u16| (f32::from(position) * 0.7).sin();
    Rows {
        features: (0..count * inputs).map(wave).collect(),
        targets: (0..count).map(|row| f32::from(row * 7 % 3 % classes)).collect(),
    }
}

fn one_row(features: &[f32]) -> Batch<'_> {
    Batch { features, targets: &[1.0], dropout_seed: [0; 32] }
}

impl Run {
    fn trainer(&self) -> Trainer {
        let mut model = model(self.inputs, self.layers.clone());
        assert_eq!(model.parameters().len(), self.start.len());
        for (name, values) in &self.start {
            model.set(name, values).unwrap();
        }
        let settings = TrainerSettings {
            schedule: self.schedule,
            first_step: self.first_step,
            fedprox_mu: self.fedprox_mu,
            gradient_clip_norm: self.gradient_clip_norm,
            ..TrainerSettings::new(self.loss.clone(), self.optimizer.clone())
        };
        Trainer::new(model, settings).unwrap()
    }
}

#[test]
fn training_agrees_with_numpy() {
    // Tolerance: 20 steps, each with some hundred roundings of f32 (2^-24 ≈ 6e-8) that add up like
    // a random walk, grown by at most a factor of ten on the way through the layers.
    const TOLERANCE: f64 = 2e-5;
    let runs: Vec<Run> = serde_json::from_str(include_str!("fixtures/training.json")).unwrap();
    assert_eq!(runs.len(), 7);
    for run in &runs {
        let mut trainer = run.trainer();
        for (step, (rows, expected)) in run.batches.iter().zip(&run.losses).enumerate() {
            let loss = trainer.step(&rows.batch()).unwrap();
            assert!((loss - expected).abs() < TOLERANCE, "{}, {step}: {loss}", run.name);
        }
        for parameter in trainer.model().parameters() {
            for (value, expected) in parameter.values.iter().zip(&run.end[parameter.name]) {
                let error = (f64::from(*value) - expected).abs();
                assert!(error < TOLERANCE, "{}, {}: {error}", run.name, parameter.name);
            }
        }
    }
}

#[test]
fn training_gives_the_same_bits_alone_and_beside_other_threads() {
    let train = || {
        let layers = json!([
            { "dense": { "units": 70 } }, { "gelu": {} }, { "dropout": { "rate": 0.3 } },
            { "layer_norm": {} }, { "dense": { "units": 3 } },
        ]);
        let settings =
            settings(json!({ "kind": "categorical_cross_entropy" }), json!({ "kind": "adam" }));
        let mut trainer = Trainer::new(model(40, layers), settings).unwrap();
        let rows = rows(33, 40, 3);
        for step in 0..10 {
            trainer.step(&Batch { dropout_seed: [step; 32], ..rows.batch() }).unwrap();
        }
        parameters(trainer.model())
    };
    let alone = train();
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(train)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for other in together {
        assert_eq!(alone, other);
    }
}

#[test]
fn dropout_follows_its_seed_and_rests_in_prediction() {
    let layers = || json!([{ "dropout": { "rate": 0.5 } }, { "dense": { "units": 1 } }]);
    let settings = settings(json!({ "kind": "binary_cross_entropy" }), json!({ "kind": "sgd" }));
    let rows = rows(16, 9, 2);
    let loss = |seed: u8| {
        let mut trainer = Trainer::new(model(9, layers()), settings.clone()).unwrap();
        trainer.step(&Batch { dropout_seed: [seed; 32], ..rows.batch() }).unwrap()
    };
    assert_eq!(loss(1).to_bits(), loss(1).to_bits());
    assert_ne!(loss(1).to_bits(), loss(2).to_bits());
    let with = model(9, layers());
    let mut without = model(9, json!([{ "identity": {} }, { "dense": { "units": 1 } }]));
    for parameter in with.parameters() {
        without.set(parameter.name, parameter.values).unwrap();
    }
    assert_eq!(with.predict(&rows.features), without.predict(&rows.features));
}

#[test]
fn dropout_keeps_the_expectation() {
    // One dense unit of weight one on a constant input of one: before the sigmoid the output is the
    // mean of the mask. Squared error against zero then has the mean 1 + variance, with variance
    // rate / (1 − rate) / inputs; tolerance five standard errors over 4000 rows.
    let mut model =
        model(100, json!([{ "dropout": { "rate": 0.25 } }, { "dense": { "units": 1 } }]));
    model.set("layers.1.weight", &[0.01; 100]).unwrap();
    let settings = settings(json!({ "kind": "mean_squared_error" }), json!({ "kind": "sgd" }));
    let mut trainer = Trainer::new(model, settings).unwrap();
    let (features, targets) = (vec![1.0; 400_000], vec![0.0; 4000]);
    let batch = Batch { features: &features, targets: &targets, dropout_seed: [5; 32] };
    let loss = trainer.step(&batch).unwrap();
    let expected = 1.0 + 0.25 / 0.75 / 100.0;
    let error = 2.0 * (0.25_f64 / 0.75 / 100.0 / 4000.0).sqrt();
    assert!((loss - expected).abs() < 5.0 * error, "{loss}");
}

#[test]
fn a_large_proximal_term_holds_the_parameters_back() {
    let distance = |mu| {
        let settings = TrainerSettings {
            fedprox_mu: mu,
            ..settings(json!({ "kind": "mean_squared_error" }), json!({ "kind": "sgd" }))
        };
        let start = model(4, json!([{ "dense": { "units": 1 } }]));
        let before = parameters(&start);
        let mut trainer = Trainer::new(start, settings).unwrap();
        let rows = rows(12, 4, 2);
        for _ in 0..50 {
            trainer.step(&rows.batch()).unwrap();
        }
        let pairs = before.into_iter().flatten().zip(parameters(trainer.model()).concat());
        pairs.map(|(before, after)| f64::from(after - before).powi(2)).sum::<f64>()
    };
    let (free, held) = (distance(None), distance(Some(10.0)));
    assert!(held < free / 4.0, "{held} {free}");
    assert_eq!(distance(Some(0.0)).to_bits(), free.to_bits());
}

#[test]
fn clipping_bounds_the_step_by_the_learning_rate_times_the_norm() {
    let settings = TrainerSettings {
        gradient_clip_norm: Some(0.5),
        ..settings(json!({ "kind": "mean_squared_error" }), json!({ "kind": "sgd", "lr": 1.0 }))
    };
    let start = model(4, json!([{ "dense": { "units": 1 } }]));
    let before = parameters(&start).concat();
    let mut trainer = Trainer::new(start, settings).unwrap();
    let features: Vec<f32> = rows(12, 4, 2).features.iter().map(|x| 100.0 * x).collect();
    let targets = [1.0; 12];
    trainer.step(&Batch { features: &features, targets: &targets, dropout_seed: [0; 32] }).unwrap();
    let after = parameters(trainer.model()).concat();
    let moved: f64 =
        before.iter().zip(&after).map(|(b, a)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    // Tolerance: roundings of the gradient, the factor and the weights.
    assert!((moved - 0.5).abs() < 1e-6, "{moved}");
}

#[test]
fn a_loss_that_is_not_finite_is_an_error_and_changes_nothing() {
    let settings = settings(json!({ "kind": "mean_squared_error" }), json!({ "kind": "adam" }));
    let start =
        model(2, json!([{ "dense": { "units": 3 } }, { "relu": {} }, { "dense": { "units": 1 } }]));
    let before = parameters(&start);
    let mut trainer = Trainer::new(start, settings).unwrap();
    for features in [[f32::INFINITY, 1.0], [f32::NAN, 0.0]] {
        let error = trainer.step(&one_row(&features)).unwrap_err();
        assert!(matches!(error, trainer::Error::NonFiniteLoss { steps: 0, .. }), "{error}");
    }
    assert_eq!(parameters(trainer.model()), before);
    assert_eq!(trainer.steps(), 0);
    trainer.step(&one_row(&[1.0, 2.0])).unwrap();
}

#[test]
fn a_gradient_that_overflows_is_an_error_and_names_the_parameter() {
    // The loss, 1e30 squared, is a number in f64; the gradient 2e30 times the input 1e10 is not in f32.
    let settings = settings(json!({ "kind": "mean_squared_error" }), json!({ "kind": "sgd" }));
    let mut start = model(1, json!([{ "dense": { "units": 1 } }]));
    start.set("layers.0.weight", &[1e20]).unwrap();
    let mut trainer = Trainer::new(start, settings).unwrap();
    let batch = Batch { features: &[1e10], targets: &[0.0], dropout_seed: [0; 32] };
    let error = trainer.step(&batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the gradient of \"layers.0.weight\" is not finite after 0 steps",
    );
    assert_eq!(trainer.model().first_non_finite(), None);
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let settings = settings(json!({ "kind": "binary_cross_entropy" }), json!({ "kind": "sgd" }));
    let mut trainer =
        Trainer::new(model(2, json!([{ "dense": { "units": 1 } }])), settings).unwrap();
    let mut refuse = |features: &[f32], targets: &[f32]| {
        let batch = Batch { features, targets, dropout_seed: [0; 32] };
        trainer.step(&batch).unwrap_err().to_string()
    };
    assert_eq!(refuse(&[], &[]), "the batch has no rows");
    assert_eq!(refuse(&[0.0; 3], &[1.0]), "a row has 2 features, found 3 numbers in all");
    assert_eq!(
        refuse(&[0.0; 4], &[1.0]),
        "binary_cross_entropy needs 2 targets for these rows, found 1",
    );
    assert_eq!(
        refuse(&[0.0; 4], &[1.0, 0.5]),
        "binary_cross_entropy: a target must be a class number from 0 to 1, found 0.5 in row 1",
    );
}

#[test]
fn settings_out_of_range_and_outputs_that_do_not_suit_are_refused() {
    let start = || model(2, json!([{ "dense": { "units": 2 } }]));
    let good = settings(json!({ "kind": "mean_squared_error" }), json!({ "kind": "sgd" }));
    let refuse = |settings| Trainer::new(start(), settings).unwrap_err().to_string();
    assert_eq!(
        refuse(TrainerSettings { gradient_clip_norm: Some(0.0), ..good.clone() }),
        "training: \"gradient_clip_norm\" must be a number above 0, found 0",
    );
    assert_eq!(
        refuse(TrainerSettings { fedprox_mu: Some(f64::NAN), ..good }),
        "training: \"fedprox_mu\" must be a number of at least 0, found NaN",
    );
    assert_eq!(
        refuse(settings(json!({ "kind": "binary_cross_entropy" }), json!({ "kind": "sgd" }))),
        "loss binary_cross_entropy: takes one output, the model has 2 outputs",
    );
}
