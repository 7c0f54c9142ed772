//! Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019).

use super::{Kind, Method, Point, State, power, single};
use crate::description::Error;
use crate::fields::{Fields, Range};
use crate::vector::widest;

pub(super) const ADAM: Kind = Kind {
    name: "adam",
    learning_rate: 0.001,
    parse: |fields| parse(fields, Decay::IntoGradient, 0.0),
};

pub(super) const ADAMW: Kind = Kind {
    name: "adamw",
    learning_rate: 0.001,
    parse: |fields| parse(fields, Decay::OfWeights, 0.01),
};

/// `torch.optim.Adam` and `torch.optim.AdamW`: with `m ← β₁ m + (1 − β₁) g` and
/// `v ← β₂ v + (1 − β₂) g²`,
/// `w ← w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps)`; with `amsgrad` the largest `v` so far
/// takes its place in the quotient. Adam first adds `weight_decay · w` to `g`; AdamW instead
/// multiplies `w` by `1 − lr · weight_decay`.
#[derive(Debug)]
struct Adam {
    betas: [f64; 2],
    epsilon: f64,
    weight_decay: f64,
    decay: Decay,
    amsgrad: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decay {
    IntoGradient,
    OfWeights,
}

impl Method for Adam {
    fn slots(&self) -> usize {
        if self.amsgrad { 3 } else { 2 }
    }

    fn update(&self, point: Point, weights: &mut [f32], gradient: &[f32], state: &mut State) {
        let step = Step::new(self, point);
        let [first, second, largest @ ..] = state.as_mut_slice() else {
            unreachable!("the state has the slots that were asked for");
        };
        let moments = first.iter_mut().zip(second);
        let steps = weights.iter_mut().zip(gradient).zip(moments);
        match largest.first_mut() {
            None => widest(|| {
                for ((weight, slope), (mean, variance)) in steps {
                    step.advance(weight, *slope, (&mut *mean, &mut *variance));
                    step.apply(weight, *mean, *variance);
                }
            }),
            Some(largest) => widest(|| {
                for (((weight, slope), (mean, variance)), largest) in steps.zip(largest) {
                    step.advance(weight, *slope, (&mut *mean, &mut *variance));
                    *largest = largest.max(*variance);
                    step.apply(weight, *mean, *largest);
                }
            }),
        }
    }
}

/// The constants of one step, in single precision.
struct Step {
    kept: [f32; 2],
    taken: [f32; 2],
    shrink: f32,
    into_gradient: f32,
    size: f32,
    correction: f32,
    epsilon: f32,
}

impl Step {
    fn new(adam: &Adam, point: Point) -> Self {
        let corrections = adam.betas.map(|beta| 1.0 - power(beta, point.count));
        let (shrink, into_gradient) = match adam.decay {
            Decay::IntoGradient => (1.0, adam.weight_decay),
            Decay::OfWeights => (1.0 - point.rate * adam.weight_decay, 0.0),
        };
        Self {
            kept: adam.betas.map(single),
            taken: adam.betas.map(|beta| single(1.0 - beta)),
            shrink: single(shrink),
            into_gradient: single(into_gradient),
            size: single(point.rate / corrections[0]),
            correction: single(1.0 / corrections[1].sqrt()),
            epsilon: single(adam.epsilon),
        }
    }

    /// Decays the weight and moves both moments.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of a loop for wide registers")]
    fn advance(&self, weight: &mut f32, slope: f32, moments: (&mut f32, &mut f32)) {
        let slope = slope + self.into_gradient * *weight;
        *weight *= self.shrink;
        *moments.0 = self.kept[0] * *moments.0 + self.taken[0] * slope;
        *moments.1 = self.kept[1] * *moments.1 + self.taken[1] * slope * slope;
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of a loop for wide registers")]
    fn apply(&self, weight: &mut f32, mean: f32, variance: f32) {
        *weight -= self.size * mean / (variance.sqrt() * self.correction + self.epsilon);
    }
}

fn parse(
    fields: &mut Fields<'_>,
    decay: Decay,
    weight_decay: f64,
) -> Result<Box<dyn Method>, Error> {
    let betas = fields.numbers("betas", Range::BelowOne)?.unwrap_or_else(|| vec![0.9, 0.999]);
    let Ok(betas) = <[f64; 2]>::try_from(betas) else {
        return Err(fields.invalid("betas", "must be a list of two numbers"));
    };
    Ok(Box::new(Adam {
        betas,
        epsilon: fields.number("eps", Range::Positive)?.unwrap_or(1e-8),
        weight_decay: fields.number("weight_decay", Range::NotNegative)?.unwrap_or(weight_decay),
        decay,
        amsgrad: fields.boolean("amsgrad")?.unwrap_or(false),
    }))
}
