//! The `[schedule]` section: how the learning rate changes over an experiment.

use crate::document::{Error, Section};

/// What a schedule counts.
///
/// Rounds and epochs last different numbers of optimizer steps at sites of different size; a schedule
/// counted in them is at the same place at every site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleUnit {
    /// The experiment's rounds.
    Round,
    /// Passes over the training rows, counted on over the rounds.
    Epoch,
    /// Optimizer steps, counted on over the rounds.
    Step,
}

/// The form of a schedule after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScheduleShape {
    /// The learning rate stays.
    Constant,
    /// Every so many units the learning rate is multiplied.
    Step {
        /// How many units a step lasts.
        every: u64,
        /// What the learning rate is multiplied by, between 0 and 1.
        factor: f64,
    },
    /// Half a cosine down to a part of the learning rate, which then stays.
    Cosine {
        /// How many units the way down lasts.
        length: u64,
        /// That part, from 0 to 1.
        minimum: f64,
    },
}

/// How the learning rate changes; the engine does the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    unit: ScheduleUnit,
    warm_up: u64,
    shape: ScheduleShape,
}

impl Schedule {
    /// The learning rate never changes.
    pub const CONSTANT: Self =
        Self { unit: ScheduleUnit::Round, warm_up: 0, shape: ScheduleShape::Constant };

    pub(super) fn read(section: Option<Section<'_>>) -> Result<Self, Error> {
        let Some(section) = section else { return Ok(Self::CONSTANT) };
        let kind = section.choice("kind", &KINDS)?.ok_or_else(|| section.missing("kind"))?;
        refuse_foreign_keys(section, kind)?;
        let shape = match kind {
            Kind::Constant => ScheduleShape::Constant,
            Kind::Step => ScheduleShape::Step {
                every: required(section, "every")?,
                factor: part(section, "factor")?.ok_or_else(|| section.missing("factor"))?,
            },
            Kind::Cosine => ScheduleShape::Cosine {
                length: required(section, "length")?,
                minimum: part(section, "minimum")?.unwrap_or(0.0),
            },
        };
        Ok(Self {
            unit: section.choice("unit", &UNITS)?.unwrap_or(ScheduleUnit::Round),
            warm_up: section.integer("warm_up", 0, LONGEST)?.unwrap_or(0),
            shape,
        })
    }

    /// What the schedule counts.
    #[must_use]
    pub fn unit(self) -> ScheduleUnit {
        self.unit
    }

    /// How many units the learning rate rises before the shape begins.
    #[must_use]
    pub fn warm_up(self) -> u64 {
        self.warm_up
    }

    /// The form after the warm-up.
    #[must_use]
    pub fn shape(self) -> ScheduleShape {
        self.shape
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Constant,
    Step,
    Cosine,
}

/// A key of another kind of schedule would be ignored: it is refused instead.
fn refuse_foreign_keys(section: Section<'_>, kind: Kind) -> Result<(), Error> {
    let foreign: &[&str] = match kind {
        Kind::Constant => &["every", "factor", "length", "minimum"],
        Kind::Step => &["length", "minimum"],
        Kind::Cosine => &["every", "factor"],
    };
    match foreign.iter().find(|key| section.item(key).is_some()) {
        Some(key) => Err(section.rule(key, "belongs to another kind of schedule")),
        None => Ok(()),
    }
}

fn required(section: Section<'_>, key: &str) -> Result<u64, Error> {
    section.integer(key, 1, LONGEST)?.ok_or_else(|| section.missing(key))
}

fn part(section: Section<'_>, key: &str) -> Result<Option<f64>, Error> {
    match section.number(key)? {
        Some(part) if !(0.0..=1.0).contains(&part) => {
            Err(section.rule(key, format!("must be from 0 to 1, found {part}")))
        }
        part => Ok(part),
    }
}

pub(super) const KEYS: &[&str] =
    &["kind", "unit", "warm_up", "every", "factor", "length", "minimum"];

const KINDS: [(&str, Kind); 3] =
    [("constant", Kind::Constant), ("step", Kind::Step), ("cosine", Kind::Cosine)];

const UNITS: [(&str, ScheduleUnit); 3] =
    [("round", ScheduleUnit::Round), ("epoch", ScheduleUnit::Epoch), ("step", ScheduleUnit::Step)];

/// The most units of a schedule's parts.
const LONGEST: u64 = 1_000_000_000;
