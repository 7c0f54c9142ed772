//! The one place that calls burn: tensors on the tape, parameter buffers, the backward pass.
//!
//! Burn changes its interface with each release and promises nothing about the next one; the rest of
//! this crate sees only [`Tensor`], [`Buffer`] and [`gradients`]. Everything stays on one thread:
//! `burn-flex` is built without rayon, so that sums are added in one order on any machine load.

use burn_autodiff::Autodiff;
use burn_backend::ops::{ActivationOps, FloatTensorOps};
use burn_backend::tensor::FloatTensor;
use burn_backend::{AutodiffBackend, BoolDType, DType, Shape, TensorData, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

type Tape = Autodiff<Flex>;

/// A value of the forward pass; operations on it are recorded if a tracked tensor is among them.
///
/// The first dimension is the row of the batch. Operations take their operands by value, so that
/// the backend may work in place when nobody else holds the data; clones share it.
#[derive(Clone)]
pub(crate) struct Tensor(FloatTensor<Tape>);

/// Numbers of ours that the backend can read without a copy: parameters and gradients.
///
/// A clone shares the numbers until one side is written.
#[derive(Clone)]
pub(crate) struct Buffer(FlexTensor);

impl Tensor {
    /// A constant of single precision.
    pub(crate) fn constant(values: Vec<f32>, shape: &[usize]) -> Self {
        Self(<Tape as AutodiffBackend>::from_inner(flex(values, shape)))
    }

    /// A constant with this tensor's precision.
    pub(crate) fn constant_like(&self, values: Vec<f32>, shape: &[usize]) -> Self {
        if self.0.dtype() == DType::F32 {
            return Self::constant(values, shape);
        }
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let data = TensorData::new(values, Shape::from(shape.to_vec()));
        Self(<Tape as AutodiffBackend>::from_inner(FlexTensor::from_data(data)))
    }

    /// The extent of each dimension, the batch's rows first.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.0.shape().to_vec()
    }

    /// The numbers in row-major order.
    pub(crate) fn to_values(&self) -> Vec<f32> {
        Buffer(self.0.primitive().to_contiguous()).values().to_vec()
    }

    pub(crate) fn matmul(self, other: Self) -> Self {
        Self(Tape::float_matmul(self.0, other.0))
    }

    /// Element by element; a dimension of extent one is repeated.
    pub(crate) fn add(self, other: Self) -> Self {
        Self(Tape::float_add(self.0, other.0))
    }

    pub(crate) fn subtract(self, other: Self) -> Self {
        Self(Tape::float_sub(self.0, other.0))
    }

    pub(crate) fn multiply(self, other: Self) -> Self {
        Self(Tape::float_mul(self.0, other.0))
    }

    pub(crate) fn divide(self, other: Self) -> Self {
        Self(Tape::float_div(self.0, other.0))
    }

    pub(crate) fn add_number(self, number: f64) -> Self {
        Self(Tape::float_add_scalar(self.0, number.into()))
    }

    pub(crate) fn multiply_number(self, number: f64) -> Self {
        Self(Tape::float_mul_scalar(self.0, number.into()))
    }

    pub(crate) fn square_root(self) -> Self {
        Self(Tape::float_sqrt(self.0))
    }

    pub(crate) fn exponential(self) -> Self {
        Self(Tape::float_exp(self.0))
    }

    pub(crate) fn reshape(self, shape: &[usize]) -> Self {
        Self(Tape::float_reshape(self.0, Shape::from(shape.to_vec())))
    }

    /// Mean over one dimension, which stays with extent one.
    pub(crate) fn mean(self, dimension: usize) -> Self {
        Self(Tape::float_mean_dim(self.0, dimension))
    }

    /// `max(x, 0)`; the derivative at 0 is 0.
    pub(crate) fn relu(self) -> Self {
        Self(Tape::relu(self.0))
    }

    pub(crate) fn sigmoid(self) -> Self {
        Self(Tape::sigmoid(self.0))
    }

    /// `ln(sigmoid(x))`, stable for large magnitudes.
    pub(crate) fn log_sigmoid(self) -> Self {
        Self(Tape::log_sigmoid(self.0))
    }

    pub(crate) fn tanh(self) -> Self {
        Self(Tape::float_tanh(self.0))
    }

    /// The exact form over the error function, not the tanh approximation.
    pub(crate) fn gelu(self) -> Self {
        Self(Tape::gelu(self.0))
    }

    /// Takes `other` where this is above zero, and this elsewhere replaced by `otherwise`.
    pub(crate) fn where_positive(self, other: Self, otherwise: Self) -> Self {
        let mask = Tape::float_greater_elem(self.0, 0.0.into(), BoolDType::Native);
        Self(Tape::float_mask_where(otherwise.0, mask, other.0))
    }

    /// Replaces what is above zero by zero; the derivative at 0 is 1.
    pub(crate) fn clear_positive(self) -> Self {
        let mask = Tape::float_greater_elem(self.0.clone(), 0.0.into(), BoolDType::Native);
        Self(Tape::float_mask_fill(self.0, mask, 0.0.into()))
    }
}

impl Buffer {
    /// Takes over numbers in row-major order.
    pub(crate) fn new(values: Vec<f32>, shape: &[usize]) -> Self {
        Self(flex(values, shape))
    }

    /// The numbers in row-major order.
    pub(crate) fn values(&self) -> &[f32] {
        self.0.as_slice().expect("a buffer is contiguous and of single precision")
    }

    /// The numbers, for writing; copied first if a clone shares them.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        self.0.storage_mut()
    }

    /// A leaf of the tape over these numbers, with a gradient if `tracked`.
    pub(crate) fn leaf(&self, tracking: Tracking) -> Tensor {
        let leaf = <Tape as AutodiffBackend>::from_inner(self.0.clone());
        match tracking {
            Tracking::Off => Tensor(leaf),
            Tracking::On => Tensor(leaf.require_grad()),
        }
    }
}

/// Whether operations on a leaf are recorded for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    /// Prediction.
    Off,
    /// Training.
    On,
}

/// Runs the backward pass from `outputs`, given the loss's gradient there, and returns one gradient
/// for each of `leaves`.
pub(crate) fn gradients(
    outputs: Tensor,
    output_gradient: Vec<f32>,
    leaves: Vec<Tensor>,
) -> Vec<Buffer> {
    let shape = outputs.shape();
    let weight = outputs.constant_like(output_gradient, &shape);
    // The tape starts with ones at its root: the product with a constant turns them into the
    // gradient that was computed outside of it.
    let mut gradients = Tape::backward(outputs.multiply(weight).0);
    let mut take = |leaf: Tensor| match Tape::grad_remove(&leaf.0, &mut gradients) {
        Some(gradient) => Buffer(gradient.to_contiguous()),
        None => {
            let shape = leaf.shape();
            Buffer::new(vec![0.0; shape.iter().product()], &shape)
        }
    };
    leaves.into_iter().map(&mut take).collect()
}

/// Double precision, for tests that compare with finite differences.
#[cfg(test)]
impl Tensor {
    pub(crate) fn double(values: &[f64], shape: &[usize], tracking: Tracking) -> Self {
        let data = TensorData::new(values.to_vec(), Shape::from(shape.to_vec()));
        let leaf = <Tape as AutodiffBackend>::from_inner(FlexTensor::from_data(data));
        Self(if tracking == Tracking::On { leaf.require_grad() } else { leaf })
    }

    pub(crate) fn doubles(&self) -> Vec<f64> {
        self.0.primitive().to_contiguous().storage::<f64>().to_vec()
    }

    /// The derivatives of the sum of `weights · self` by each of `leaves`.
    pub(crate) fn derivatives(self, weights: &[f64], leaves: &[Self]) -> Vec<Vec<f64>> {
        let weights = Self::double(weights, &self.shape(), Tracking::Off);
        let gradients = Tape::backward(self.multiply(weights).0);
        let take = |leaf: &Self| Tape::grad(&leaf.0, &gradients).expect("every leaf is used");
        leaves.iter().map(|leaf| take(leaf).to_contiguous().storage::<f64>().to_vec()).collect()
    }
}

fn flex(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape.to_vec())))
}
