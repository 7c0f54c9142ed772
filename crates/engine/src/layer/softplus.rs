//! Softplus: `ln(1 + exp(x))`, computed as `−ln(sigmoid(−x))`, which is stable on both sides.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;

pub(super) const KIND: Kind = Kind { name: "softplus", parse: |_| Ok(Box::new(Softplus)) };

#[derive(Debug)]
struct Softplus;

impl Layer for Softplus {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        input.multiply_number(-1.0).log_sigmoid().multiply_number(-1.0)
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(5)
    }
}
