//! Layer normalisation (Ba, Kiros and Hinton, 2016): each sample to mean 0 and variance 1 over its
//! last dimension, then scaled and shifted. The variance divides by the count, as is usual here.

use super::{Kind, Layer, ParameterDescription, Pass, Start, volume};
use crate::backend::Tensor;
use crate::fields::Range;

pub(super) const KIND: Kind = Kind {
    name: "layer_norm",
    parse: |fields| {
        let epsilon = fields.number("epsilon", Range::Positive)?.unwrap_or(1e-5);
        Ok(Box::new(LayerNorm { epsilon }))
    },
};

#[derive(Debug)]
struct LayerNorm {
    epsilon: f64,
}

impl Layer for LayerNorm {
    fn output(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        match input.last() {
            // One number alone is its own mean: nothing would be left of it.
            Some(2..) => Ok(input.to_vec()),
            _ => Err("needs at least 2 numbers in the last dimension".to_owned()),
        }
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterDescription> {
        let width = input.last().copied().unwrap_or(1);
        let describe = |name, start| ParameterDescription {
            name,
            shape: vec![width],
            start: Start::Filled(start),
        };
        vec![describe("scale", 1.0), describe("bias", 0.0)]
    }

    fn forward(&self, input: Tensor, parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        let mut broadcast = vec![1; input.shape().len()];
        let last = broadcast.len() - 1;
        broadcast[last] = input.shape()[last];
        let centred = input.clone().subtract(input.mean(last));
        let variance = centred.clone().multiply(centred.clone()).mean(last);
        let deviation = variance.add_number(self.epsilon).square_root();
        centred
            .divide(deviation)
            .multiply(parameters[0].clone().reshape(&broadcast))
            .add(parameters[1].clone().reshape(&broadcast))
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(10)
    }
}
