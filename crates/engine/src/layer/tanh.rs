//! Hyperbolic tangent.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;

pub(super) const KIND: Kind = Kind { name: "tanh", parse: |_| Ok(Box::new(Tanh)) };

#[derive(Debug)]
struct Tanh;

impl Layer for Tanh {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        input.tanh()
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(2)
    }
}
