//! The arrays that a metric compares.

use super::{MetricError, Side};

/// Truth or prediction of some rows, borrowed.
///
/// A second dimension of width 1 counts as none.
///
/// # Examples
///
/// ```
/// use training_plan::metric::Observations;
///
/// let labels = Observations::numbers(&[0.0, 1.0, 1.0]);
/// let scores = [0.9, 0.1, 0.2, 0.8, 0.4, 0.6];
/// let table = Observations::shaped(&scores, &[3, 2]);
/// assert_eq!(labels.rows(), table.rows());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Observations<'a> {
    shape: Shape,
    values: Values<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Rows and columns.
    Table(usize, usize),
    /// A number of dimensions that no metric takes.
    TooMany(usize),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Values<'a> {
    Numbers(&'a [f64]),
    Texts(&'a [String]),
}

impl<'a> Observations<'a> {
    /// One number a row: labels, probabilities of the positive class, or measured values.
    #[must_use]
    pub fn numbers(values: &'a [f64]) -> Self {
        Self { shape: Shape::Table(values.len(), 1), values: Values::Numbers(values) }
    }

    /// One text a row: labels.
    #[must_use]
    pub fn texts(values: &'a [String]) -> Self {
        Self { shape: Shape::Table(values.len(), 1), values: Values::Texts(values) }
    }

    /// An array in row-major order. What no metric takes is an error when a metric meets it.
    #[must_use]
    pub fn shaped(values: &'a [f64], shape: &[usize]) -> Self {
        let shape = match *shape {
            [rows] => Shape::Table(rows, 1),
            [rows, columns] => Shape::Table(rows, columns),
            _ => Shape::TooMany(shape.len()),
        };
        Self { shape, values: Values::Numbers(values) }
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self.shape {
            Shape::Table(rows, _) => rows,
            Shape::TooMany(_) => 0,
        }
    }

    /// Checks the array by itself and gives its number of columns.
    pub(super) fn check(&self, side: Side) -> Result<usize, MetricError> {
        let (rows, columns) = match self.shape {
            Shape::Table(rows, columns) => (rows, columns),
            Shape::TooMany(dimensions) => return Err(MetricError::Dimensions { side, dimensions }),
        };
        let length = match self.values {
            Values::Numbers(numbers) => numbers.len(),
            Values::Texts(texts) => texts.len(),
        };
        if rows.checked_mul(columns) != Some(length) || (columns == 0 && rows > 0) {
            return Err(MetricError::Shape { side, values: length });
        }
        if let Values::Numbers(numbers) = self.values
            && numbers.iter().any(|number| !number.is_finite())
        {
            return Err(MetricError::NotFinite { side });
        }
        Ok(columns)
    }

    pub(super) fn values(&self) -> Values<'a> {
        self.values
    }
}

/// Checks both arrays and that they have the same rows; gives the columns of each.
pub(super) fn check_pair(
    truth: &Observations<'_>,
    prediction: &Observations<'_>,
) -> Result<(usize, usize), MetricError> {
    let columns = (truth.check(Side::Truth)?, prediction.check(Side::Prediction)?);
    if truth.rows() != prediction.rows() {
        return Err(MetricError::Lengths { truth: truth.rows(), prediction: prediction.rows() });
    }
    if truth.rows() == 0 {
        return Err(MetricError::NoRows);
    }
    Ok(columns)
}
