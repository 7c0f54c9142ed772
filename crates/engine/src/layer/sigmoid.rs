//! Logistic function: `1 / (1 + exp(−x))`.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;

pub(super) const KIND: Kind = Kind { name: "sigmoid", parse: |_| Ok(Box::new(Sigmoid)) };

#[derive(Debug)]
struct Sigmoid;

impl Layer for Sigmoid {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        input.sigmoid()
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(2)
    }
}
