//! Stochastic gradient descent.

use super::{Kind, Method, Point, State, single};
use crate::fields::Range;
use crate::vector::widest;

pub(super) const KIND: Kind = Kind {
    name: "sgd",
    learning_rate: 0.01,
    parse: |fields| {
        let method = Sgd {
            momentum: fields.number("momentum", Range::NotNegative)?.unwrap_or(0.0),
            dampening: fields.number("dampening", Range::Fraction)?.unwrap_or(0.0),
            nesterov: fields.boolean("nesterov")?.unwrap_or(false),
            weight_decay: fields.number("weight_decay", Range::NotNegative)?.unwrap_or(0.0),
        };
        if method.nesterov && (method.momentum == 0.0 || method.dampening != 0.0) {
            return Err(fields.invalid("nesterov", "needs a momentum above 0 and no dampening"));
        }
        Ok(Box::new(method))
    },
};

/// `torch.optim.SGD`: with `g ← g + weight_decay · w`,
/// `b ← momentum · b + (1 − dampening) · g` (`b ← g` in the first step),
/// `w ← w − lr · b`, or with Nesterov's look ahead `w ← w − lr · (g + momentum · b)`.
#[derive(Debug)]
struct Sgd {
    momentum: f64,
    dampening: f64,
    nesterov: bool,
    weight_decay: f64,
}

impl Method for Sgd {
    fn slots(&self) -> usize {
        usize::from(self.momentum != 0.0)
    }

    fn update(&self, point: Point, weights: &mut [f32], gradient: &[f32], state: &mut State) {
        let (rate, decay) = (single(point.rate), single(self.weight_decay));
        let Some(velocity) = state.first_mut() else {
            return widest(|| {
                for (weight, slope) in weights.iter_mut().zip(gradient) {
                    *weight -= rate * (slope + decay * *weight);
                }
            });
        };
        let momentum = single(self.momentum);
        let taken = if point.count == 1 { 1.0 } else { single(1.0 - self.dampening) };
        widest(|| {
            for ((weight, slope), speed) in weights.iter_mut().zip(gradient).zip(velocity) {
                let slope = slope + decay * *weight;
                *speed = momentum * *speed + taken * slope;
                let direction = if self.nesterov { slope + momentum * *speed } else { *speed };
                *weight -= rate * direction;
            }
        });
    }
}
