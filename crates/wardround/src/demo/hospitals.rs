//! The demonstration's hospitals and their shares of the table.

use std::collections::BTreeMap;
use std::path::Path;

use super::process::unwritable;
use crate::failure::Failure;

/// The training plans and experiments that the demonstration offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PlanChoice {
    /// Logistic regression.
    Logistic,
    /// A perceptron with one hidden layer.
    Mlp,
}

impl PlanChoice {
    /// The plan's file name.
    pub(super) const fn plan_file(self) -> &'static str {
        match self {
            Self::Logistic => "logistic.toml",
            Self::Mlp => "mlp.toml",
        }
    }

    const fn plan_text(self) -> &'static str {
        match self {
            Self::Logistic => include_str!("../../../../examples/breast-cancer/logistic.toml"),
            Self::Mlp => include_str!("../../../../examples/breast-cancer/mlp.toml"),
        }
    }

    const fn experiment_text(self) -> &'static str {
        match self {
            Self::Logistic => include_str!("../../../../examples/breast-cancer/experiment.toml"),
            Self::Mlp => include_str!("../../../../examples/breast-cancer/experiment-mlp.toml"),
        }
    }
}

/// Each hospital's name with its rows of the table as CSV text, in the order of the names' list.
pub(super) fn shares(hospitals: usize) -> Vec<(String, String)> {
    let mut lines = TABLE.lines();
    let header = lines.next().expect("the shipped table has a header");
    let rows: Vec<&str> = lines.collect();
    let mut assignments = ASSIGNMENTS.lines();
    let counts = assignments.next().expect("the shipped assignments have a header");
    let column = counts
        .split(',')
        .position(|name| name == hospitals.to_string())
        .expect("the shipped assignments have a column for each number of hospitals");
    let mut shares: BTreeMap<usize, (String, String)> = BTreeMap::new();
    for (row, line) in rows.iter().zip(assignments) {
        let name = line.split(',').nth(column).unwrap_or_default();
        let Some(order) = NAMES.iter().position(|known| *known == name) else { continue };
        let (_, text) =
            shares.entry(order).or_insert_with(|| (name.to_owned(), format!("{header}\n")));
        text.push_str(row);
        text.push('\n');
    }
    shares.into_values().collect()
}

/// Writes the hold-out, the pooled table, the plan, the scale and the experiment file into a folder.
pub(super) fn write_files(
    folder: &Path,
    plan: PlanChoice,
    (rounds, seed): (u32, u64),
    hospitals: usize,
) -> Result<(), Failure> {
    let experiment = plan
        .experiment_text()
        .replace("rounds = 20", &format!("rounds = {rounds}"))
        .replace("seed = 42", &format!("seed = {seed}"))
        .replace("min_nodes = 2", &format!("min_nodes = {}", hospitals.min(2)));
    let pooled: String = shares(hospitals)
        .iter()
        .enumerate()
        .flat_map(|(index, (_, text))| text.lines().skip(usize::from(index > 0)))
        .flat_map(|line| [line, "\n"])
        .collect();
    let files: [(&str, &str); 5] = [
        (plan.plan_file(), plan.plan_text()),
        ("scale.toml", SCALE),
        ("experiment.toml", &experiment),
        ("hold-out.csv", HOLD_OUT),
        ("pooled.csv", &pooled),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

const NAMES: [&str; 8] = ["north", "south", "east", "west", "central", "harbour", "hill", "lake"];
const TABLE: &str = include_str!("../../../../examples/breast-cancer/breast-cancer.csv");
const ASSIGNMENTS: &str = include_str!("../../../../examples/breast-cancer/assignments.csv");
const HOLD_OUT: &str = include_str!("../../../../examples/breast-cancer/hold-out.csv");
const SCALE: &str = include_str!("../../../../examples/breast-cancer/scale.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_shares_are_the_committed_files() {
        let shares = shares(3);
        let committed = [
            ("north", include_str!("../../../../examples/breast-cancer/north.csv")),
            ("south", include_str!("../../../../examples/breast-cancer/south.csv")),
            ("east", include_str!("../../../../examples/breast-cancer/east.csv")),
        ];
        assert_eq!(shares.len(), 3);
        for ((name, text), (committed_name, committed_text)) in shares.iter().zip(committed) {
            assert_eq!(name, committed_name);
            assert_eq!(text, committed_text);
        }
    }

    #[test]
    fn every_number_of_hospitals_shares_the_same_rows() {
        for hospitals in 1..=NAMES.len() {
            let shares = shares(hospitals);
            assert_eq!(shares.len(), hospitals);
            let rows: usize = shares.iter().map(|(_, text)| text.lines().count() - 1).sum();
            assert_eq!(rows, 455);
        }
    }
}
