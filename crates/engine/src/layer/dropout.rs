//! Dropout: while training, clears each number with a probability and scales the others up.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;
use crate::fields::Range;

pub(super) const KIND: Kind = Kind {
    name: "dropout",
    parse: |fields| {
        let rate = fields.required_number("rate", Range::BelowOne)?;
        Ok(Box::new(Dropout { rate }))
    },
};

#[derive(Debug)]
struct Dropout {
    rate: f64,
}

impl Layer for Dropout {
    /// Keeps a number where a fraction drawn for it is at least the rate, in row-major order, and
    /// divides it by `1 − rate`, so that its expectation stays.
    fn forward(&self, input: Tensor, _parameters: &[Tensor], pass: &mut Pass) -> Tensor {
        let Some(mut generator) = pass.generator().filter(|_| self.rate > 0.0) else {
            return input;
        };
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let (rate, kept) = (self.rate as f32, (1.0 / (1.0 - self.rate)) as f32);
        let shape = input.shape();
        let draw = || if generator.fraction() < rate { 0.0 } else { kept };
        let mask = std::iter::repeat_with(draw).take(volume(&shape)).collect();
        let mask = input.constant_like(mask, &shape);
        input.multiply(mask)
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(3)
    }
}
