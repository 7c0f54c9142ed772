//! Exponential linear unit: `x` above zero, `alpha · (exp(x) − 1)` elsewhere, with derivative
//! `alpha` at 0.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;
use crate::fields::Range;

pub(super) const KIND: Kind = Kind {
    name: "elu",
    parse: |fields| {
        let alpha = fields.number("alpha", Range::NotNegative)?.unwrap_or(1.0);
        Ok(Box::new(Elu { alpha }))
    },
};

#[derive(Debug)]
struct Elu {
    alpha: f64,
}

impl Layer for Elu {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        // Without clearing, a large input would overflow in the branch that is not taken, and
        // infinity times a zero gradient is not a number.
        let curved = input.clone().clear_positive().exponential();
        let curved = curved.add_number(-1.0).multiply_number(self.alpha);
        input.clone().where_positive(input, curved)
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(8)
    }
}
