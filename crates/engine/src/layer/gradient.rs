//! Every layer's gradient against central finite differences.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{KINDS, LayerDescription, Pass, volume};
use crate::backend::{Tensor, Tracking};

/// Settings under which each layer is checked; a layer without a line here fails a test.
fn cases() -> Vec<(&'static str, Value)> {
    vec![
        ("dense", json!({ "units": 3 })),
        ("dense", json!({ "units": 1, "bias": false })),
        ("dropout", json!({ "rate": 0.4 })),
        ("elu", json!({})),
        ("elu", json!({ "alpha": 0.5 })),
        ("gelu", json!({})),
        ("identity", json!({})),
        ("layer_norm", json!({ "epsilon": 1e-3 })),
        ("leaky_relu", json!({})),
        ("leaky_relu", json!({ "slope": 0.3 })),
        ("relu", json!({})),
        ("sigmoid", json!({})),
        ("silu", json!({})),
        ("softplus", json!({})),
        ("tanh", json!({})),
    ]
}

/// One layer with numbers for its input, its parameters and the weights of its outputs.
struct Probe {
    described: LayerDescription,
    shapes: Vec<Vec<usize>>,
    numbers: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

const ROWS: usize = 4;
const WIDTH: usize = 5;

impl Probe {
    /// `source` supplies numbers from −1 to 1.
    fn new(name: &str, settings: &Value, source: &mut dyn FnMut() -> f64) -> Self {
        let described = LayerDescription::parse(name, settings.as_object().unwrap()).unwrap();
        let output = described.layer().output(&[WIDTH]).unwrap();
        let parameters = described.layer().parameters(&[WIDTH]);
        let mut shapes = vec![vec![ROWS, WIDTH]];
        shapes.extend(parameters.into_iter().map(|parameter| parameter.shape));
        // Away from zero, where some layers have a kink and differences across it mean nothing.
        let mut draw = |count: usize| -> Vec<f64> {
            (0..count).map(|_| source()).map(|x| 3.0 * x + 0.01_f64.copysign(x)).collect()
        };
        let numbers = shapes.iter().map(|shape| draw(volume(shape))).collect();
        let weights = draw(ROWS * volume(&output));
        Self { described, shapes, numbers, weights }
    }

    fn leaves(&self, tracking: Tracking) -> Vec<Tensor> {
        let pairs = self.numbers.iter().zip(&self.shapes);
        pairs.map(|(numbers, shape)| Tensor::double(numbers, shape, tracking)).collect()
    }

    fn forward(&self, leaves: &[Tensor]) -> Tensor {
        let mut pass = Pass::training([9; 32]);
        self.described.layer().forward(leaves[0].clone(), &leaves[1..], &mut pass)
    }

    fn objective(&self) -> f64 {
        let outputs = self.forward(&self.leaves(Tracking::Off)).doubles();
        outputs.iter().zip(&self.weights).map(|(output, weight)| output * weight).sum()
    }

    fn gradient(&self) -> Vec<Vec<f64>> {
        let leaves = self.leaves(Tracking::On);
        self.forward(&leaves).derivatives(&self.weights, &leaves)
    }

    fn difference(&mut self, tensor: usize, position: usize) -> f64 {
        const STEP: f64 = 1e-5;
        let here = self.numbers[tensor][position];
        let mut at = |number| {
            self.numbers[tensor][position] = number;
            self.objective()
        };
        let (above, below) = (at(here + STEP), at(here - STEP));
        at(here);
        (above - below) / (2.0 * STEP)
    }
}

/// Tolerance: with a step of 1e-5 in f64 the difference errs by about STEP² · f''' / 6 ≈ 1e-10 from
/// truncation and 2^-53 · f / STEP ≈ 1e-9 from rounding, f and f''' being below 100 here.
const TOLERANCE: f64 = 1e-7;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn gradients_of_all_layers_agree_with_finite_differences(
        numbers in prop::collection::vec(-1.0..1.0_f64, 97),
    ) {
        let mut stream = numbers.iter().copied().cycle();
        let mut source = || stream.next().unwrap();
        for (name, settings) in cases() {
            let mut probe = Probe::new(name, &settings, &mut source);
            for (tensor, gradient) in probe.gradient().into_iter().enumerate() {
                for (position, slope) in gradient.into_iter().enumerate() {
                    let expected = probe.difference(tensor, position);
                    prop_assert!(
                        (slope - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
                        "{name} {settings}, tensor {tensor}[{position}]: {slope} and {expected}",
                    );
                }
            }
        }
    }
}

#[test]
fn every_layer_of_the_table_has_a_case() {
    for kind in KINDS {
        assert!(cases().iter().any(|(name, _)| *name == kind.name), "{}", kind.name);
    }
}

#[test]
fn derivatives_at_the_kink_are_the_documented_ones() {
    for (name, expected) in
        [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0), ("softplus", 0.5), ("gelu", 0.5)]
    {
        let described = LayerDescription::parse(name, &serde_json::Map::new()).unwrap();
        let leaf = Tensor::double(&[0.0], &[1, 1], Tracking::On);
        let mut pass = Pass::prediction();
        let output = described.layer().forward(leaf.clone(), &[], &mut pass);
        let slope = output.derivatives(&[1.0], &[leaf])[0][0];
        assert!((slope - expected).abs() < 1e-15, "{name}: {slope}");
    }
}

#[test]
fn activations_stay_finite_for_large_inputs() {
    for (name, settings) in cases().iter().filter(|(name, _)| *name != "dense") {
        let described = LayerDescription::parse(name, settings.as_object().unwrap()).unwrap();
        let parameters = described.layer().parameters(&[2]);
        let leaves: Vec<Tensor> =
            parameters.iter().map(|p| Tensor::double(&[1.0; 2], &p.shape, Tracking::On)).collect();
        let input = Tensor::double(&[1e4, -1e4], &[1, 2], Tracking::On);
        let mut pass = Pass::prediction();
        let output = described.layer().forward(input.clone(), &leaves, &mut pass);
        assert!(output.doubles().iter().all(|number| number.is_finite()), "{name}");
        let slopes = output.derivatives(&[1.0; 2], &[input]);
        assert!(slopes[0].iter().all(|number| number.is_finite()), "{name}: {slopes:?}");
    }
}
