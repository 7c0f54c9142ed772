//! Learning-rate schedules: pure functions of the step number.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::description;
use crate::fields::{Fields, Range, split_kind};

/// How the learning rate changes over the optimizer steps.
///
/// While warming up, over the first `warm_up` steps, the rate climbs in equal steps: step `s`, from
/// zero, has `(s + 1) / warm_up` of the base rate. The shape begins after it.
///
/// # Examples
///
/// ```
/// use engine::Schedule;
///
/// let schedule: Schedule =
///     serde_json::from_str(r#"{ "kind": "step", "every": 10, "factor": 0.5, "warm_up": 2 }"#)?;
/// assert_eq!(schedule.rate(0.1, 0), 0.05);
/// assert_eq!(schedule.rate(0.1, 2), 0.1);
/// assert_eq!(schedule.rate(0.1, 12), 0.05);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Schedule {
    shape: Shape,
    warm_up: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Shape {
    #[default]
    Constant,
    Step {
        every: u64,
        factor: f64,
    },
    Cosine {
        steps: u64,
        minimum: f64,
    },
}

impl Schedule {
    /// Reads the settings of the schedule called `kind`; all take `warm_up` (0).
    ///
    /// * `constant`: the base rate.
    /// * `step`: the base rate times `factor` (0.1) to the number of whole `every` steps done.
    /// * `cosine`: half a cosine from the base rate down to `minimum` (0, a fraction of the base
    ///   rate) over `steps` steps, and `minimum` afterwards.
    ///
    /// # Errors
    ///
    /// [`description::Error`] names the schedule or key, and the rule that is broken.
    pub fn parse(kind: &str, settings: &Map<String, Value>) -> Result<Self, description::Error> {
        let mut fields = Fields::new(&format!("schedule {kind}"), settings);
        let shape = match kind {
            "constant" => Shape::Constant,
            "step" => Shape::Step {
                every: fields.size("every")? as u64,
                factor: fields.number("factor", Range::Fraction)?.unwrap_or(0.1),
            },
            "cosine" => Shape::Cosine {
                steps: fields.size("steps")? as u64,
                minimum: fields.number("minimum", Range::Fraction)?.unwrap_or(0.0),
            },
            _ => {
                return Err(description::Error::UnknownName {
                    subject: "schedule",
                    name: kind.to_owned(),
                    known: Self::names().map(str::to_owned).collect(),
                });
            }
        };
        let warm_up = fields.integer("warm_up", 0)?.unwrap_or(0);
        fields.finish()?;
        Ok(Self { shape, warm_up })
    }

    /// The names of all schedules.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ["constant", "cosine", "step"].into_iter()
    }

    /// The learning rate of optimizer step `step`, counted from zero.
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^53")]
    pub fn rate(&self, base: f64, step: u64) -> f64 {
        let Some(done) = step.checked_sub(self.warm_up) else {
            return base * (step + 1) as f64 / self.warm_up as f64;
        };
        match self.shape {
            Shape::Constant => base,
            Shape::Step { every, factor } => {
                let drops = i32::try_from(done / every).unwrap_or(i32::MAX);
                base * factor.powi(drops)
            }
            Shape::Cosine { steps, minimum } => {
                let way = done.min(steps) as f64 / steps as f64;
                let fraction = 0.5 * (1.0 + (std::f64::consts::PI * way).cos());
                base * (minimum + (1.0 - minimum) * fraction)
            }
        }
    }
}

impl TryFrom<Map<String, Value>> for Schedule {
    type Error = description::Error;

    fn try_from(settings: Map<String, Value>) -> Result<Self, Self::Error> {
        let (kind, settings) = split_kind("schedule", settings)?;
        Self::parse(&kind, &settings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schedule(value: Value) -> Schedule {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn cosine_passes_its_known_points() {
        let cosine = schedule(json!({ "kind": "cosine", "steps": 10, "minimum": 0.2 }));
        for (step, expected) in [(0, 1.0), (5, 0.6), (10, 0.2), (1000, 0.2)] {
            // Tolerance: a few roundings of f64.
            assert!((cosine.rate(1.0, step) - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn warm_up_reaches_the_base_rate_with_its_last_step() {
        let constant = schedule(json!({ "kind": "constant", "warm_up": 4 }));
        let rates: Vec<f64> = (0..6).map(|step| constant.rate(0.8, step)).collect();
        assert_eq!(rates, [0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 0.8, 0.8]);
    }

    proptest! {
        #[test]
        fn rate_stays_between_zero_and_the_base(
            step: u64, warm_up in 0_u64..1000, steps in 1_u64..1000, part in 0.0..=1.0_f64,
        ) {
            for value in [
                json!({ "kind": "constant", "warm_up": warm_up }),
                json!({ "kind": "step", "every": steps, "factor": part, "warm_up": warm_up }),
                json!({ "kind": "cosine", "steps": steps, "minimum": part, "warm_up": warm_up }),
            ] {
                let rate = schedule(value).rate(0.3, step);
                prop_assert!((0.0..=0.3 * (1.0 + 1e-12)).contains(&rate), "{}", rate);
            }
        }
    }

    #[test]
    fn unknown_kind_lists_the_known_ones() {
        let error = Schedule::parse("cosin", &Map::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "schedule \"cosin\" is unknown; known are constant, cosine, step",
        );
        assert_eq!(error.hint().unwrap(), "did you mean \"cosine\"?");
    }
}
