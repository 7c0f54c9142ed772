//! Combining files by rules that stand in the names of their tensors, without knowing what the numbers mean.

use std::ops::RangeInclusive;
use std::path::Path;

use parameters::{Dtype, Durability, Parameters, Schema, Tensor, TensorSchema};
use protocol::{ArtifactReference, Digest};

use crate::error::Error;
use crate::fed_avg::{Output, Update, check_schema, check_sites, site};

/// Combines updates tensor by tensor.
///
/// What stands before the first dot of a tensor's name is its rule: `sum.…` are counts, which are added, of `min.…` and
/// `max.…` the smallest and the largest stay. `moments.count`, `moments.mean` and `moments.squares` belong together:
/// the counts, means and sums of squared differences of two sites give those of both by the formulas of Chan, Golub
/// and LeVeque (1979), so that no large square is ever subtracted from another. Every tensor is F64.
///
/// The sites are taken in bytewise order of (node name, dataset name), so the bytes of the result do not depend on the
/// order in which the updates came. Sums of counts are exact up to 2⁵³.
///
/// A site's counts are from 0 to 2⁵³, its means within ±10¹⁴⁰ and its squared differences from 0 to 10³⁰⁰; with others
/// it is out of the round, so that no site's numbers make those of all overflow.
///
/// The files are read into memory, one tensor at a time: they describe data and are small beside any model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combine;

impl Combine {
    /// Writes what all updates together say and returns what the file is.
    ///
    /// Every update must hold exactly the tensors of `model`.
    ///
    /// # Errors
    ///
    /// If there is nothing to combine, a tensor has no rule, an update does not fit or cannot be read, a number is not
    /// finite or out of its range, or the result cannot be written. [`Error::culprit`] names the site where one is to blame.
    pub fn combine(
        self,
        model: &Schema,
        updates: &[Update],
        output: Output<'_>,
    ) -> Result<ArtifactReference, Error> {
        let mut ordered: Vec<&Update> = updates.iter().collect();
        ordered.sort_by(|left, right| site(left).cmp(&site(right)));
        check_sites(&ordered)?;
        ordered.iter().try_for_each(|update| check_schema(model, update))?;
        let mut combined = Parameters::new();
        for tensor in model.tensors() {
            let rule = Rule::of(model, tensor)?;
            let Some(rule) = rule else { continue };
            combine_all(rule, model, &ordered, &mut combined)?;
        }
        write(&combined, output)
    }
}

/// How a tensor is combined.
#[derive(Clone, Copy)]
enum Rule<'a> {
    Sum(&'a TensorSchema),
    Minimum(&'a TensorSchema),
    Maximum(&'a TensorSchema),
    /// Three tensors of one shape.
    Moments(&'a TensorSchema),
}

impl<'a> Rule<'a> {
    /// The rule of a tensor; none where another one's takes it along.
    fn of(model: &Schema, tensor: &'a TensorSchema) -> Result<Option<Self>, Error> {
        let unruled = || Error::NoRule { tensor: tensor.name.clone() };
        if tensor.dtype != Dtype::F64 {
            return Err(unruled());
        }
        match tensor.name.split_once('.').map(|(rule, _)| rule) {
            Some("sum") => Ok(Some(Self::Sum(tensor))),
            Some("min") => Ok(Some(Self::Minimum(tensor))),
            Some("max") => Ok(Some(Self::Maximum(tensor))),
            Some("moments") => {
                let alike = |name| {
                    model.get(name).is_some_and(|other| {
                        other.dtype == tensor.dtype && other.shape == tensor.shape
                    })
                };
                if !MOMENTS.contains(&tensor.name.as_str()) || !MOMENTS.into_iter().all(alike) {
                    return Err(unruled());
                }
                Ok((tensor.name == MOMENTS[0]).then_some(Self::Moments(tensor)))
            }
            _ => Err(unruled()),
        }
    }
}

fn combine_all(
    rule: Rule<'_>,
    model: &Schema,
    updates: &[&Update],
    combined: &mut Parameters,
) -> Result<(), Error> {
    let fold = |tensor: &TensorSchema, combine: fn(f64, f64) -> f64| {
        let mut numbers: Option<Vec<f64>> = None;
        for update in updates {
            let found = read(update, &tensor.name)?;
            match &mut numbers {
                None => numbers = Some(found),
                Some(numbers) => {
                    let pairs = numbers.iter_mut().zip(found);
                    pairs.for_each(|(number, found)| *number = combine(*number, found));
                }
            }
        }
        Ok::<_, Error>(numbers.unwrap_or_default())
    };
    match rule {
        Rule::Sum(tensor) => {
            let sums = fold(tensor, |left, right| left + right)?;
            insert(combined, tensor, sums)
        }
        Rule::Minimum(tensor) => insert(combined, tensor, fold(tensor, f64::min)?),
        Rule::Maximum(tensor) => insert(combined, tensor, fold(tensor, f64::max)?),
        Rule::Moments(tensor) => {
            let mut pooled = vec![Moments::default(); tensor.checked_elements().unwrap_or(0)];
            for update in updates {
                let [count, mean, squares] = MOMENTS.map(|name| read(update, name));
                let (count, mean, squares) = (count?, mean?, squares?);
                for (place, pooled) in pooled.iter_mut().enumerate() {
                    let (count, mean, squares) = (count[place], mean[place], squares[place]);
                    pooled.add(Moments { count, mean, squares });
                }
            }
            let parts: [fn(&Moments) -> f64; 3] =
                [|moments| moments.count, |moments| moments.mean, |moments| moments.squares];
            for (name, part) in MOMENTS.into_iter().zip(parts) {
                let tensor = model.get(name).expect("the rule has found all three");
                insert(combined, tensor, pooled.iter().map(part).collect())?;
            }
            Ok(())
        }
    }
}

/// Count, mean and sum of squared differences of some numbers.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, other: Self) {
        if other.count <= 0.0 {
            return;
        }
        if self.count <= 0.0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let difference = other.mean - self.mean;
        self.mean += difference * (other.count / count);
        self.squares +=
            other.squares + difference * difference * (self.count * (other.count / count));
        self.count = count;
    }
}

/// A tensor of an update, every number of it finite.
fn read(update: &Update, name: &str) -> Result<Vec<f64>, Error> {
    let (node, dataset) = (&update.node, &update.dataset);
    let (range, rule) = range(name);
    let tensor = update.reader.tensor(name).map_err(|source| Error::Unreadable {
        node: node.clone(),
        dataset: dataset.clone(),
        source,
    })?;
    let numbers = tensor.to_f64();
    let (node, dataset, tensor) = (node.clone(), dataset.clone(), name.to_owned());
    if let Some(element) = numbers.iter().position(|number| !number.is_finite()) {
        return Err(Error::NotFiniteUpdate { node, dataset, tensor, element });
    }
    match numbers.iter().position(|number| !range.contains(number)) {
        None => Ok(numbers),
        Some(element) => Err(Error::OutOfRange { node, dataset, tensor, element, rule }),
    }
}

/// What the numbers of a tensor can be, and what one is that cannot.
fn range(name: &str) -> (RangeInclusive<f64>, &'static str) {
    let [count, mean, squares] = MOMENTS;
    match name {
        _ if name == count || name.starts_with("sum.") => (0.0..=MOST, "no count"),
        _ if name == mean => (-LARGEST_MEAN..=LARGEST_MEAN, "too large for a mean"),
        _ if name == squares => (0.0..=LARGEST_SQUARES, "no sum of squares"),
        _ => (f64::MIN..=f64::MAX, "no number"),
    }
}

fn insert(
    combined: &mut Parameters,
    tensor: &TensorSchema,
    numbers: Vec<f64>,
) -> Result<(), Error> {
    if let Some(element) = numbers.iter().position(|number| !number.is_finite()) {
        return Err(Error::NotFiniteMean { tensor: tensor.name.clone(), element });
    }
    let made = Tensor::from_f64(tensor.dtype, &tensor.shape, &numbers);
    made.and_then(|made| combined.insert(&tensor.name, made)).map_err(Error::Unwritable)
}

fn write(combined: &Parameters, output: Output<'_>) -> Result<ArtifactReference, Error> {
    let Output { path, description, durability } = output;
    let write = |path: &Path, durability: Durability| {
        let digest = Digest::of(&combined.to_bytes(description)?);
        let size = combined.write(path, description, durability)?;
        Ok(ArtifactReference::new(digest, size))
    };
    write(path, durability).map_err(Error::Unwritable)
}

/// The tensors that describe numbers together.
const MOMENTS: [&str; 3] = ["moments.count", "moments.mean", "moments.squares"];

/// The largest count of a site, 2⁵³.
const MOST: f64 = 9_007_199_254_740_992.0;
/// The square of twice this, times the largest count, is far from the largest number.
const LARGEST_MEAN: f64 = 1e140;
const LARGEST_SQUARES: f64 = 1e300;
