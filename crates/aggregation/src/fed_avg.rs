//! The federated average: a weighted mean of parameter files, tensor by tensor.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use parameters::{
    Dtype, Durability, PositionedWriter, Reader, Schema, element::Operations, header,
};
use protocol::{ArtifactReference, DatasetName, Digester, NodeId};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    kernel::{Kernel, NOTHING, SHRUNK},
};

/// Averages updates.
///
/// For every element, with the updates in bytewise order of (node name, dataset name):
/// `sum = f64(n₁)·f64(x₁)`, then `sum = sum + f64(nₖ)·f64(xₖ)` without fused multiply-add, then one
/// division by `f64(Σ nₖ)` and one rounding to the tensor's type, to nearest, ties to even. Integers
/// take the same mean, rounded the same way. A sum of F64 values beyond the range of `f64` is taken
/// as if that had no end: the mean of finite values is finite. So the bytes of the result depend
/// neither on the order in which the updates are given nor on the number of threads, and a single
/// update comes out as it went in (of F64 and large I64 values: up to that division's rounding).
///
/// Memory is a few chunks for each thread, whatever the size of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FedAvg {
    /// How much each update counts.
    pub weights: Weights,
    /// How many threads work.
    pub threads: NonZeroUsize,
}

/// Says how much each update counts in a mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// By its number of training rows.
    #[default]
    Samples,
    /// As much as any other.
    Uniform,
}

/// Holds one site's update.
#[derive(Debug)]
pub struct Update {
    /// The node that made it.
    pub node: NodeId,
    /// The dataset it was made on.
    pub dataset: DatasetName,
    /// The number of training rows behind it.
    pub sample_count: u64,
    /// The file.
    pub reader: Reader,
}

/// Says where and how the aggregate is written.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// The file, which appears whole or not at all.
    pub path: &'a Path,
    /// The file's one piece of metadata.
    pub description: Option<&'a str>,
    /// What must have happened on return.
    pub durability: Durability,
}

impl FedAvg {
    /// Weighs by these weights, with as many threads as the machine has processors.
    #[must_use]
    pub fn new(weights: Weights) -> Self {
        // It is found out in files of the system, and does not change while the program runs.
        static PROCESSORS: OnceLock<NonZeroUsize> = OnceLock::new();
        let processors = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { weights, threads: *PROCESSORS.get_or_init(processors) }
    }

    /// Writes the mean of the updates and returns the length of the file.
    ///
    /// Every update must hold exactly the tensors of `model`, the schema of the global parameters.
    ///
    /// # Errors
    ///
    /// If there is nothing to average, an update does not fit the model or cannot be read, a value
    /// is not finite, or the result cannot be written. [`Error::culprit`] names the site where one
    /// is to blame; the same input gives the same error for any number of threads.
    pub fn aggregate(
        &self,
        model: &Schema,
        updates: &[Update],
        output: Output<'_>,
    ) -> Result<u64, Error> {
        let mean = Mean::new(self.weights, model, updates)?;
        let writer = PositionedWriter::create(output.path, model, output.description)
            .map_err(Error::Unwritable)?;
        mean.run(self.threads, &writer)?;
        writer.finish(output.durability).map_err(Error::Unwritable)
    }

    /// Writes the mean as [`FedAvg::aggregate`] does and returns what the file is; its bytes are
    /// hashed while they are written.
    ///
    /// # Errors
    ///
    /// As [`FedAvg::aggregate`].
    pub fn aggregate_hashed(
        &self,
        model: &Schema,
        updates: &[Update],
        output: Output<'_>,
    ) -> Result<ArtifactReference, Error> {
        let mean = Mean::new(self.weights, model, updates)?;
        let mut digester = Digester::new();
        let mut hash = |bytes: &[u8]| digester.update(bytes);
        let Output { path, description, durability } = output;
        let writer = PositionedWriter::create_shown(path, model, description, &mut hash)
            .map_err(Error::Unwritable)?;
        mean.run(self.threads, &writer)?;
        let size = writer.finish(durability).map_err(Error::Unwritable)?;
        Ok(ArtifactReference::new(digester.finish(), size))
    }
}

/// Holds updates that fit each other, in their order, with their weights.
struct Mean<'a> {
    model: &'a Schema,
    terms: Vec<Term<'a>>,
    total: f64,
    chunks: Vec<Chunk>,
}

struct Term<'a> {
    update: &'a Update,
    weight: f64,
}

/// Names a run of elements of one tensor; the runs do not depend on the number of threads.
#[derive(Clone, Copy)]
struct Chunk {
    tensor: usize,
    start: usize,
    elements: usize,
}

impl<'a> Mean<'a> {
    fn new(weights: Weights, model: &'a Schema, updates: &'a [Update]) -> Result<Self, Error> {
        let mut ordered: Vec<&Update> = updates.iter().collect();
        ordered.sort_by(|left, right| site(left).cmp(&site(right)));
        check_sites(&ordered)?;
        ordered.iter().try_for_each(|update| check_schema(model, update))?;
        let total = total_weight(weights, &ordered)?;
        let term = |update| Term { update, weight: weight(weights, update) };
        let terms = ordered.into_iter().map(term).collect();
        Ok(Self { model, terms, total, chunks: chunks(model) })
    }

    /// Lets the threads take chunks in turn and returns the error of the first bad chunk.
    ///
    /// Chunks are taken in order and a taken chunk is always finished, so when one fails, all
    /// before it have been looked at: which error is first does not depend on the threads.
    fn run(&self, threads: NonZeroUsize, writer: &PositionedWriter<'_>) -> Result<(), Error> {
        let next = AtomicUsize::new(0);
        let work = || self.work(&next, writer);
        let failures = thread::scope(|scope| {
            let others: Vec<_> = (1..threads.get().min(self.chunks.len().max(1)))
                .map(|_| scope.spawn(work))
                .collect();
            let mut failures = vec![work()];
            failures.extend(others.into_iter().map(|other| {
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }));
            failures
        });
        let first = failures.into_iter().filter_map(Result::err).min_by_key(|(chunk, _)| *chunk);
        first.map_or(Ok(()), |(_, error)| Err(error))
    }

    fn work(
        &self,
        next: &AtomicUsize,
        writer: &PositionedWriter<'_>,
    ) -> Result<(), (usize, Error)> {
        let mut buffers = Buffers::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = self.chunks.get(number) else { return Ok(()) };
            if let Err(error) = self.average(*chunk, &mut buffers, writer) {
                // Nobody needs to begin a later chunk.
                next.store(self.chunks.len(), Ordering::Relaxed);
                return Err((number, error));
            }
        }
    }

    fn average(
        &self,
        chunk: Chunk,
        buffers: &mut Buffers,
        writer: &PositionedWriter<'_>,
    ) -> Result<(), Error> {
        let tensor = &self.model.tensors()[chunk.tensor];
        let kernel = Kernel::of(tensor.dtype);
        let length = chunk.elements * tensor.dtype.size();
        let (bytes, sums) = buffers.of(length, chunk.elements);
        sums.fill(NOTHING);
        for group in self.terms.chunks(GROUP) {
            for (term, bytes) in group.iter().zip(bytes.chunks_exact_mut(length)) {
                self.read(chunk, term, bytes)?;
            }
            add_group(kernel, group, bytes, sums);
        }
        let (bytes, spare) = bytes.split_at_mut(length);
        (kernel.finish)(self.total, sums, bytes);
        let first_invalid = Operations::of(tensor.dtype).first_invalid;
        if first_invalid(bytes).is_some() {
            sums.fill(NOTHING);
            self.add_shrunk(chunk, &mut spare[..length], sums)?;
            (kernel.mend)(self.total, sums, bytes);
            if let Some(index) = first_invalid(bytes) {
                let (tensor, element) = (tensor.name.clone(), chunk.start + index);
                return Err(Error::NotFiniteMean { tensor, element });
            }
        }
        let offset = (chunk.start * tensor.dtype.size()) as u64;
        writer.write_at(chunk.tensor, offset, bytes).map_err(Error::Unwritable)
    }

    fn read(&self, chunk: Chunk, term: &Term<'_>, bytes: &mut [u8]) -> Result<(), Error> {
        let tensor = &self.model.tensors()[chunk.tensor];
        let offset = (chunk.start * tensor.dtype.size()) as u64;
        let update = term.update;
        update
            .reader
            .read_at(chunk.tensor, offset, bytes)
            .map_err(|source| unreadable(update, source))?;
        // Floats that are not finite show in the mean; a byte that is no boolean would not.
        let invalid = match tensor.dtype {
            Dtype::Bool => (Operations::of(tensor.dtype).first_invalid)(bytes),
            Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => None,
            Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 | Dtype::U8 => None,
        };
        invalid.map_or(Ok(()), |index| Err(self.not_finite_update(chunk, index, update)))
    }

    /// Finds the update that a mean is not finite for; if there is none, the sum of finite numbers
    /// left the range of `f64` on the way to a mean within it, and is taken again, shrunk.
    fn add_shrunk(&self, chunk: Chunk, bytes: &mut [u8], sums: &mut [f64]) -> Result<(), Error> {
        let dtype = self.model.tensors()[chunk.tensor].dtype;
        let mut culprit: Option<(usize, &Update)> = None;
        for term in &self.terms {
            self.read(chunk, term, bytes)?;
            if let Some(index) = (Operations::of(dtype).first_invalid)(bytes)
                && culprit.is_none_or(|(first, _)| index < first)
            {
                culprit = Some((index, term.update));
            }
            (Kernel::of(dtype).add)(term.weight * SHRUNK, bytes, sums);
        }
        let refuse = |(index, update)| Err(self.not_finite_update(chunk, index, update));
        culprit.map_or(Ok(()), refuse)
    }

    fn not_finite_update(&self, chunk: Chunk, index: usize, update: &Update) -> Error {
        Error::NotFiniteUpdate {
            node: update.node.clone(),
            dataset: update.dataset.clone(),
            tensor: self.model.tensors()[chunk.tensor].name.clone(),
            element: chunk.start + index,
        }
    }
}

/// Holds one thread's memory: one chunk of each update of a group, and the sums.
#[derive(Default)]
struct Buffers {
    bytes: Vec<u8>,
    sums: Vec<f64>,
}

impl Buffers {
    fn of(&mut self, length: usize, elements: usize) -> (&mut [u8], &mut [f64]) {
        let bytes = GROUP * length;
        if self.bytes.len() < bytes {
            self.bytes.resize(bytes, 0);
        }
        if self.sums.len() < elements {
            self.sums.resize(elements, 0.0);
        }
        (&mut self.bytes[..bytes], &mut self.sums[..elements])
    }
}

/// Adds the updates of a group in their order; a full group in one pass.
fn add_group(kernel: Kernel, group: &[Term<'_>], bytes: &[u8], sums: &mut [f64]) {
    let length = bytes.len() / GROUP;
    if let [a, b, c, d] = group {
        let weights = [a, b, c, d].map(|term| term.weight);
        let part = |place: usize| &bytes[place * length..(place + 1) * length];
        (kernel.add_four)(weights, [part(0), part(1), part(2), part(3)], sums);
        return;
    }
    for (term, bytes) in group.iter().zip(bytes.chunks_exact(length)) {
        (kernel.add)(term.weight, bytes, sums);
    }
}

pub(crate) fn site(update: &Update) -> (&[u8], &[u8]) {
    (update.node.as_str().as_bytes(), update.dataset.as_str().as_bytes())
}

pub(crate) fn check_sites(ordered: &[&Update]) -> Result<(), Error> {
    if ordered.is_empty() {
        return Err(Error::NoUpdates);
    }
    match ordered.windows(2).find(|pair| site(pair[0]) == site(pair[1])) {
        Some(pair) => {
            Err(Error::Duplicate { node: pair[0].node.clone(), dataset: pair[0].dataset.clone() })
        }
        None => Ok(()),
    }
}

pub(crate) fn check_schema(model: &Schema, update: &Update) -> Result<(), Error> {
    let differences = model.differences(update.reader.schema());
    if differences.is_empty() {
        return Ok(());
    }
    let (node, dataset) = (update.node.clone(), update.dataset.clone());
    Err(Error::Mismatch { node, dataset, differences })
}

fn total_weight(weights: Weights, ordered: &[&Update]) -> Result<f64, Error> {
    let total = match weights {
        Weights::Samples => ordered
            .iter()
            .try_fold(0_u64, |total, update| total.checked_add(update.sample_count))
            .filter(|total| *total <= MOST_SAMPLES)
            .ok_or(Error::TooManySamples)?,
        Weights::Uniform => ordered.len() as u64,
    };
    if total == 0 { Err(Error::NoSamples) } else { Ok(exact(total)) }
}

fn weight(weights: Weights, update: &Update) -> f64 {
    match weights {
        Weights::Samples => exact(update.sample_count),
        Weights::Uniform => 1.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts were checked to be at most 2^53")]
fn exact(count: u64) -> f64 {
    count as f64
}

/// Cuts the tensors into chunks, in the order in which the file holds them.
fn chunks(model: &Schema) -> Vec<Chunk> {
    let of_tensor = |tensor: usize| {
        let elements = model.elements(tensor);
        (0..elements).step_by(CHUNK_ELEMENTS).map(move |start| Chunk {
            tensor,
            start,
            elements: CHUNK_ELEMENTS.min(elements - start),
        })
    };
    header::data_order(model).into_iter().flat_map(of_tensor).collect()
}

fn unreadable(update: &Update, source: parameters::Error) -> Error {
    Error::Unreadable { node: update.node.clone(), dataset: update.dataset.clone(), source }
}

/// The elements of one chunk: of F32 128 KiB to read from each update and 256 KiB of sums.
///
/// Measured: half of it costs a sixth more processor time, in system calls and in the page cache's
/// smaller pages for the result; twice as much gains nothing.
const CHUNK_ELEMENTS: usize = 32_768;

/// The updates that are added in one pass.
const GROUP: usize = 4;

/// The largest count that `f64` holds exactly with all below it.
const MOST_SAMPLES: u64 = 1 << 53;
