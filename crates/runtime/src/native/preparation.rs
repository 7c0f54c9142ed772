//! From a dataset's file to the numbers that the engine takes.

use dataset::{Interrupt, Request, Split, Table, TabularSource, split};
use protocol::{Code, Mode, Warning};
use training_plan::Plan;
use training_plan::arguments::Validation;
use training_plan::plan::{ColumnMagnitude, Encoding, Finding, Input, Missing, Standardize, Task};
use training_plan::seed::Seed;

use crate::{Assignment, DataGrant, DataSummary, Failure};

/// The rows of a round, encoded and split.
#[derive(Clone)]
pub(super) struct Prepared {
    /// Features, row after row.
    pub(super) features: Vec<f32>,
    /// Class numbers, or values.
    pub(super) targets: Vec<f32>,
    /// Features of a row.
    pub(super) width: usize,
    pub(super) split: Split,
    pub(super) summary: DataSummary,
}

/// What preparing needs to know of the plan and the round.
#[derive(Clone, Copy)]
pub(super) struct Preparation<'a> {
    pub(super) plan: &'a Plan,
    pub(super) inputs: &'a [Input],
    pub(super) assignment: &'a Assignment,
    pub(super) validation: &'a Validation,
    pub(super) seed: u64,
}

impl Preparation<'_> {
    /// Reads, filters, splits and encodes.
    pub(super) fn run(
        self,
        grant: &DataGrant<'_>,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Prepared, Failure> {
        let source = TabularSource::open(grant.path, grant.table()?)?.under(grant.loading_plan);
        let mut source = source.without(grant.exclusions);
        let target = Target::of(self.plan);
        let table = source.read_interruptibly(&requests(self.inputs, Some(target)), interrupt)?;
        let excluded = grant.table()?.rows - table.rows() as u64;
        let kept = kept_rows(self.plan.data().missing(), &table, interrupt)?;
        let dropped = table.rows() - kept.len();
        let table = table.into_rows(&kept, interrupt)?;
        enough(table.rows(), "rows", grant)?;
        let targets = Targets::read(target, &table)?;
        interrupt.look()?;
        let split = self.split(&table, &targets)?;
        if self.assignment.mode == Mode::Train {
            enough(split.train.len(), "rows to train on", grant)?;
        }
        interrupt.look()?;
        let encoded = encode(scaling(self.plan), self.inputs, &table, &split.train, interrupt)?;
        let summary = DataSummary { excluded, ..self.summary(&encoded, &split, dropped) };
        Ok(Prepared {
            features: encoded.features,
            targets: targets.numbers(),
            width: encoded.width,
            split,
            summary,
        })
    }

    fn split(self, table: &Table, targets: &Targets) -> Result<Split, Failure> {
        let classes = match targets {
            Targets::Classes(classes) if self.validation.stratify => Some(classes.as_slice()),
            Targets::Classes(_) | Targets::Values(_) => None,
        };
        let digest = &self.assignment.dataset_digest;
        let seed = if self.validation.shuffle_testing_dataset {
            Seed::split_of_round(self.seed, digest, u64::from(self.assignment.round))
        } else {
            Seed::split(self.seed, digest)
        };
        let ratio = self.validation.test_ratio;
        let split = split(table.rows(), ratio, seed.into_bytes(), table.groups(), classes)
            .map_err(|error| Failure::new(Code::NodeInternal, error.to_string()))?;
        let needed = match self.assignment.mode {
            Mode::Train => true,
            Mode::Validate => needs_training_rows(self.plan),
        };
        if needed && split.train.is_empty() {
            let local = format!("none of {} rows is left to train on", table.rows());
            return Err(Failure::new(Code::DataNoTrainingSamples, local));
        }
        Ok(split)
    }

    fn summary(self, encoded: &Encoded, split: &Split, dropped: usize) -> DataSummary {
        let mut warnings = Vec::new();
        if dropped > 0 {
            warnings.push(Warning::DataRowsDropped);
        }
        let findings = self.plan.findings(&encoded.magnitudes, &[], &[]);
        if findings.iter().any(|finding| matches!(finding, Finding::Unscaled { .. })) {
            warnings.push(Warning::PlanUnscaled);
        }
        let (train, validation) = (split.train.len() as u64, split.validation.len() as u64);
        let dropped = dropped as u64;
        let (rows, excluded) = (train + validation, 0);
        DataSummary { rows, train, validation, dropped, excluded, warnings }
    }
}

/// Refuses fewer rows than the node asks for.
fn enough(rows: usize, what: &str, grant: &DataGrant<'_>) -> Result<(), Failure> {
    if rows as u64 >= grant.minimum_samples {
        return Ok(());
    }
    let local = format!("{rows} {what}, {} are required", grant.minimum_samples);
    Err(Failure::new(Code::DataTooFewSamples, local))
}

/// What is predicted.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) task: Task,
    pub(super) column: &'a str,
    pub(super) classes: &'a [String],
    /// Whether the values are counts, which are never below 0.
    pub(super) counts: bool,
}

impl<'a> Target<'a> {
    fn of(plan: &'a Plan) -> Self {
        let data = plan.data();
        let counts = plan.loss().component().name == POISSON;
        Self { task: data.task(), column: data.target(), classes: data.classes(), counts }
    }
}

/// The columns to read, and how; the target comes last.
pub(super) fn requests<'a>(inputs: &'a [Input], target: Option<Target<'a>>) -> Vec<Request<'a>> {
    let target = target.map(|target| match target.task {
        Task::Binary | Task::Multiclass => Request::Categories(target.column),
        Task::Regression => Request::Numbers(target.column),
    });
    let features = inputs.iter().map(|input| match &input.encoding {
        Encoding::Number(_) => Request::Numbers(&input.column),
        Encoding::OneHot(_) => Request::Categories(&input.column),
    });
    features.chain(target).collect()
}

/// Whether numbers are brought to the scale of the reference rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scaling {
    /// By the scale that stands in the inputs, if any.
    Declared,
    /// By the mean and deviation of the reference rows.
    Local,
}

fn scaling(plan: &Plan) -> Scaling {
    match plan.data().standardize() {
        Standardize::Local => Scaling::Local,
        Standardize::Declared(_) | Standardize::Federated | Standardize::None => Scaling::Declared,
    }
}

/// Whether encoding a row needs the training subset.
fn needs_training_rows(plan: &Plan) -> bool {
    let filled = match plan.data().missing() {
        Missing::Mean => true,
        Missing::Error | Missing::Drop => false,
    };
    filled || scaling(plan) == Scaling::Local
}

/// The rows that the plan's rule for missing values keeps.
pub(super) fn kept_rows(
    missing: Missing,
    table: &Table,
    interrupt: &mut Interrupt<'_>,
) -> Result<Vec<usize>, Failure> {
    match missing {
        Missing::Drop => complete_rows(table, interrupt),
        Missing::Mean => {
            let target = table.columns().last().map(|(_, column)| column);
            let known = |row: &usize| target.is_some_and(|target| !target.is_missing(*row));
            Ok((0..table.rows()).filter(known).collect())
        }
        Missing::Error => match table.columns().find(|(_, column)| column.missing() > 0) {
            None => Ok((0..table.rows()).collect()),
            Some((name, column)) => {
                let missing = column.missing();
                let local = format!("column {name:?} has {missing} missing values, the plan none");
                Err(Failure::new(Code::DataInvalid, local))
            }
        },
    }
}

/// The rows in which no cell is missing, found column by column.
fn complete_rows(table: &Table, interrupt: &mut Interrupt<'_>) -> Result<Vec<usize>, Failure> {
    let mut is_complete = vec![true; table.rows()];
    for (_, column) in table.columns() {
        interrupt.look()?;
        for (row, is_complete) in is_complete.iter_mut().enumerate() {
            *is_complete &= !column.is_missing(row);
        }
    }
    Ok((0..table.rows()).filter(|row| is_complete[*row]).collect())
}

/// What is predicted, row by row.
pub(super) enum Targets {
    Classes(Vec<u32>),
    Values(Vec<f32>),
}

impl Targets {
    /// Reads the target of rows in which it is never missing.
    pub(super) fn read(target: Target<'_>, table: &Table) -> Result<Self, Failure> {
        let name = target.column;
        match target.task {
            Task::Binary | Task::Multiclass => {
                let classes = table.classes(name, target.classes)?.into_iter();
                let known = classes.map(|class| class.expect("the row was kept for its target"));
                Ok(Self::Classes(known.collect()))
            }
            Task::Regression => {
                let numbers = table.numbers(name)?;
                if target.counts && numbers.iter().any(|number| *number < 0.0) {
                    let local = format!("target {name:?} has a value below 0, a Poisson loss none");
                    return Err(Failure::new(Code::DataInvalid, local));
                }
                let single = numbers.iter().map(|number| single(name, *number));
                Ok(Self::Values(single.collect::<Result<_, _>>()?))
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "there are at most a thousand classes")]
    pub(super) fn numbers(self) -> Vec<f32> {
        match self {
            Self::Classes(classes) => classes.into_iter().map(|class| class as f32).collect(),
            Self::Values(values) => values,
        }
    }
}

/// Features as the engine takes them.
pub(super) struct Encoded {
    pub(super) features: Vec<f32>,
    pub(super) width: usize,
    /// How large each numeric column is over the training rows.
    magnitudes: Vec<ColumnMagnitude>,
}

/// Encodes all rows; what is taken from data is taken from the `reference` rows alone.
pub(super) fn encode(
    scaling: Scaling,
    inputs: &[Input],
    table: &Table,
    reference: &[usize],
    interrupt: &mut Interrupt<'_>,
) -> Result<Encoded, Failure> {
    let width = inputs.iter().map(Input::width).sum();
    let mut features = vec![0.0_f32; table.rows() * width];
    let mut magnitudes = Vec::new();
    let mut place = 0;
    for input in inputs {
        interrupt.look()?;
        match &input.encoding {
            Encoding::Number(scale) => {
                let mut numbers = table.numbers(&input.column)?.to_vec();
                fill(&input.column, &mut numbers, reference)?;
                magnitudes.push(magnitude(&input.column, &numbers, reference));
                let scale = match scaling {
                    Scaling::Local => Some(local_scale(&numbers, reference)),
                    Scaling::Declared => scale.map(|scale| (scale.mean, scale.deviation)),
                };
                for (row, number) in numbers.into_iter().enumerate() {
                    let scaled =
                        scale.map_or(number, |(mean, deviation)| (number - mean) / deviation);
                    features[row * width + place] = single(&input.column, scaled)?;
                }
            }
            Encoding::OneHot(categories) => {
                let codes = table.classes(&input.column, categories)?;
                for (row, code) in codes.into_iter().enumerate() {
                    if let Some(code) = code {
                        features[row * width + place + code as usize] = 1.0;
                    }
                }
            }
        }
        place += input.width();
    }
    Ok(Encoded { features, width, magnitudes })
}

/// Puts the mean of the reference rows where a number is missing.
fn fill(column: &str, numbers: &mut [f64], reference: &[usize]) -> Result<(), Failure> {
    if !numbers.iter().any(|number| number.is_nan()) {
        return Ok(());
    }
    let known: Vec<f64> =
        reference.iter().map(|row| numbers[*row]).filter(|number| !number.is_nan()).collect();
    if known.is_empty() {
        let local = format!("column {column:?} has no value in the training subset");
        return Err(Failure::new(Code::DataInvalid, local));
    }
    let mean = mean(&known);
    numbers.iter_mut().filter(|number| number.is_nan()).for_each(|number| *number = mean);
    Ok(())
}

/// The mean and the population deviation of the reference rows; a constant column keeps its unit.
fn local_scale(numbers: &[f64], reference: &[usize]) -> (f64, f64) {
    let known: Vec<f64> = reference.iter().map(|row| numbers[*row]).collect();
    let mean = mean(&known);
    let squares: Vec<f64> = known.iter().map(|number| (number - mean).powi(2)).collect();
    let deviation = self::mean(&squares).sqrt();
    (mean, if deviation >= f64::MIN_POSITIVE { deviation } else { 1.0 })
}

fn magnitude(column: &str, numbers: &[f64], reference: &[usize]) -> ColumnMagnitude {
    let largest = reference.iter().map(|row| numbers[*row].abs()).fold(0.0, f64::max);
    ColumnMagnitude { column: column.to_owned(), largest }
}

#[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// Rounds to single precision; a number that is too large for it is refused.
fn single(column: &str, number: f64) -> Result<f32, Failure> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
    let rounded = number as f32;
    if rounded.is_finite() {
        return Ok(rounded);
    }
    let local = format!("column {column:?} has a value too large for single precision");
    Err(Failure::new(Code::DataInvalid, local))
}

/// The loss whose targets are counts.
pub(super) const POISSON: &str = "poisson";
