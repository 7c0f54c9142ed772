//! Gaussian error linear unit: `x · Φ(x)` with the exact normal distribution function.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;

pub(super) const KIND: Kind = Kind { name: "gelu", parse: |_| Ok(Box::new(Gelu)) };

#[derive(Debug)]
struct Gelu;

impl Layer for Gelu {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        input.gelu()
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(3)
    }
}
