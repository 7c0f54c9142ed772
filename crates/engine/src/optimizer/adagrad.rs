//! Adagrad (Duchi, Hazan and Singer, 2011).

use super::{Kind, Method, Point, State, single};
use crate::fields::Range;
use crate::vector::widest;

pub(super) const KIND: Kind = Kind {
    name: "adagrad",
    learning_rate: 0.001,
    parse: |fields| {
        Ok(Box::new(Adagrad {
            rate_decay: fields.number("lr_decay", Range::NotNegative)?.unwrap_or(0.0),
            epsilon: fields.number("eps", Range::Positive)?.unwrap_or(1e-10),
            initial: fields.number("initial_accumulator_value", Range::NotNegative)?.unwrap_or(0.0),
            weight_decay: fields.number("weight_decay", Range::NotNegative)?.unwrap_or(0.0),
        }))
    },
};

/// `torch.optim.Adagrad`: with `g ← g + weight_decay · w` and `s ← s + g²`,
/// `w ← w − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps)`.
#[derive(Debug)]
struct Adagrad {
    rate_decay: f64,
    epsilon: f64,
    initial: f64,
    weight_decay: f64,
}

impl Method for Adagrad {
    fn slots(&self) -> usize {
        1
    }

    fn first(&self) -> f32 {
        single(self.initial)
    }

    fn update(&self, point: Point, weights: &mut [f32], gradient: &[f32], state: &mut State) {
        #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^53")]
        let before = (point.count - 1) as f64;
        let rate = single(point.rate / (1.0 + before * self.rate_decay));
        let (decay, epsilon) = (single(self.weight_decay), single(self.epsilon));
        widest(|| {
            for ((weight, slope), sum) in weights.iter_mut().zip(gradient).zip(&mut state[0]) {
                let slope = slope + decay * *weight;
                *sum += slope * slope;
                *weight -= rate * slope / (sum.sqrt() + epsilon);
            }
        });
    }
}
