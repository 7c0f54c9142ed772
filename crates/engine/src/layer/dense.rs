//! Fully connected layer: `x · weight + bias`.

use super::{Kind, Layer, ParameterDescription, Pass, Start, volume};
use crate::backend::Tensor;

pub(super) const KIND: Kind = Kind {
    name: "dense",
    parse: |fields| {
        let units = fields.size("units")?;
        let bias = fields.boolean("bias")?.unwrap_or(true);
        Ok(Box::new(Dense { units, bias }))
    },
};

#[derive(Debug)]
struct Dense {
    units: usize,
    bias: bool,
}

impl Layer for Dense {
    fn output(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        match input {
            [_] => Ok(vec![self.units]),
            _ => Err(format!("takes samples of one dimension, found shape {input:?}")),
        }
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterDescription> {
        let inputs = volume(input);
        let weight = ParameterDescription {
            name: "weight",
            shape: vec![inputs, self.units],
            start: Start::Drawn { fan_in: inputs, fan_out: self.units },
        };
        let bias = ParameterDescription {
            name: "bias",
            shape: vec![self.units],
            start: Start::Filled(0.0),
        };
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    fn forward(&self, input: Tensor, parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        let product = input.matmul(parameters[0].clone());
        match parameters.get(1) {
            None => product,
            Some(bias) => product.add(bias.clone().reshape(&[1, self.units])),
        }
    }

    fn footprint(&self, input: &[usize]) -> usize {
        // The product, the sum, and a gradient of the output and of the input.
        self.units.saturating_mul(3).saturating_add(volume(input))
    }
}
