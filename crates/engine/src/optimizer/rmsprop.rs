//! RMSprop (Hinton's lecture 6e, 2012; centred form by Graves, 2013).

use super::{Kind, Method, Point, State, single};
use crate::fields::Range;
use crate::vector::widest;

pub(super) const KIND: Kind = Kind {
    name: "rmsprop",
    learning_rate: 0.001,
    parse: |fields| {
        Ok(Box::new(RmsProp {
            alpha: fields.number("alpha", Range::BelowOne)?.unwrap_or(0.99),
            epsilon: fields.number("eps", Range::Positive)?.unwrap_or(1e-8),
            momentum: fields.number("momentum", Range::NotNegative)?.unwrap_or(0.0),
            centered: fields.boolean("centered")?.unwrap_or(false),
            weight_decay: fields.number("weight_decay", Range::NotNegative)?.unwrap_or(0.0),
        }))
    },
};

/// `torch.optim.RMSprop`: with `g ← g + weight_decay · w` and `v ← alpha · v + (1 − alpha) · g²`,
/// `d = g / (√v + eps)`; centred, `v` loses the square of `m ← alpha · m + (1 − alpha) · g` first;
/// `b ← momentum · b + d`, `w ← w − lr · b`.
#[derive(Debug)]
struct RmsProp {
    alpha: f64,
    epsilon: f64,
    momentum: f64,
    centered: bool,
    weight_decay: f64,
}

impl Method for RmsProp {
    /// Always three, of which the mean and the momentum may stay unused: an optimizer for small
    /// models, where one loop is worth more than two buffers.
    fn slots(&self) -> usize {
        3
    }

    fn update(&self, point: Point, weights: &mut [f32], gradient: &[f32], state: &mut State) {
        let [squares, means, speeds] = state.as_mut_slice() else {
            unreachable!("the state has the slots that were asked for");
        };
        let (kept, taken) = (single(self.alpha), single(1.0 - self.alpha));
        let (rate, momentum) = (single(point.rate), single(self.momentum));
        let (decay, epsilon) = (single(self.weight_decay), single(self.epsilon));
        let state = squares.iter_mut().zip(means).zip(speeds);
        let steps = weights.iter_mut().zip(gradient).zip(state);
        widest(|| {
            for ((weight, slope), ((square, mean), speed)) in steps {
                let slope = slope + decay * *weight;
                *square = kept * *square + taken * slope * slope;
                let mut variance = *square;
                if self.centered {
                    *mean = kept * *mean + taken * slope;
                    // Rounding may push the difference of two equal numbers below zero.
                    variance = (variance - *mean * *mean).max(0.0);
                }
                *speed = momentum * *speed + slope / (variance.sqrt() + epsilon);
                *weight -= rate * *speed;
            }
        });
    }
}
