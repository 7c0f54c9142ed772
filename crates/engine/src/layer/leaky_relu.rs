//! Leaky rectified linear unit: `x` above zero, `slope · x` elsewhere, with derivative `slope` at 0.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;
use crate::fields::Range;

pub(super) const KIND: Kind = Kind {
    name: "leaky_relu",
    parse: |fields| {
        let slope = fields.number("slope", Range::NotNegative)?.unwrap_or(0.01);
        Ok(Box::new(LeakyRelu { slope }))
    },
};

#[derive(Debug)]
struct LeakyRelu {
    slope: f64,
}

impl Layer for LeakyRelu {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        let scaled = input.clone().multiply_number(self.slope);
        input.clone().where_positive(input, scaled)
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(5)
    }
}
