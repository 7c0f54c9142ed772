//! Reference numbers made by other people's libraries: each committed file is what its script makes today.
//!
//! Where there is no Python with what the scripts import, this says what it left out.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::succeed;

/// A script, and how it is told where its files go.
struct Reference {
    script: &'static str,
    /// Relative to the script's folder.
    makes: &'static [&'static str],
    manner: Manner,
}

enum Manner {
    /// It compares by itself.
    Checks,
    /// It prints its one file.
    Prints,
    /// It takes a folder as its argument.
    TakesFolder,
    /// It takes its one file as its argument.
    TakesFile,
    /// It writes beside itself.
    WritesBeside,
}

const REFERENCES: &[Reference] = &[
    Reference {
        script: "tests/federation/reference/make_reference.py",
        makes: &[],
        manner: Manner::Checks,
    },
    Reference {
        script: "crates/engine/tests/fixtures/make.py",
        makes: &["optimizers.json", "training.json"],
        manner: Manner::WritesBeside,
    },
    Reference {
        script: "crates/aggregation/tests/fixtures/make_fed_avg.py",
        makes: &["mean-samples.safetensors", "mean-uniform.safetensors", "north-a.safetensors"],
        manner: Manner::TakesFolder,
    },
    Reference {
        script: "crates/aggregation/tests/fixtures/make_pooled.py",
        makes: &["pooled.json"],
        manner: Manner::Prints,
    },
    Reference {
        script: "crates/training-plan/tests/fixtures/make_metrics.py",
        makes: &["metrics.json"],
        manner: Manner::Prints,
    },
    Reference {
        script: "crates/parameters/tests/golden/make_version_1.py",
        makes: &["version-1.safetensors"],
        manner: Manner::TakesFile,
    },
];

/// Runs every script and compares what it makes with what is committed.
pub(super) fn check(root: &Path, python: Option<&Path>) -> Result<()> {
    let Some(python) = python else {
        let scripts: Vec<&str> = REFERENCES.iter().map(|reference| reference.script).collect();
        crate::say(&format!("left out: {}", scripts.join(", ")));
        return Ok(());
    };
    for reference in REFERENCES {
        reference.check(root, python).with_context(|| reference.script.to_owned())?;
    }
    Ok(())
}

impl Reference {
    fn check(&self, root: &Path, python: &Path) -> Result<()> {
        let script = root.join(self.script);
        let made = root.join("target/references").join(self.script);
        std::fs::create_dir_all(&made)?;
        let mut command = Command::new(python);
        match self.manner {
            Manner::Checks => return succeed(command.arg(&script).arg("--check")),
            Manner::Prints => {
                let output = command.arg(&script).output()?;
                ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                std::fs::write(made.join(self.makes[0]), output.stdout)?;
            }
            Manner::TakesFolder => succeed(command.arg(&script).arg(&made))?,
            Manner::TakesFile => succeed(command.arg(&script).arg(made.join(self.makes[0])))?,
            Manner::WritesBeside => {
                let copy = made.join("make.py");
                std::fs::copy(&script, &copy)?;
                succeed(command.arg(&copy))?;
            }
        }
        let committed = script.parent().context("a script lies in a folder")?;
        for name in self.makes {
            compare(&committed.join(name), &made.join(name))?;
        }
        Ok(())
    }
}

/// Files of numbers are the same but for the last digits, in which machines differ; others are the same bytes.
fn compare(committed: &Path, made: &Path) -> Result<()> {
    let (old, new) = (std::fs::read(committed)?, std::fs::read(made)?);
    if committed.extension().is_none_or(|extension| extension != "json") {
        ensure!(old == new, "{} is not what the script makes", committed.display());
        return Ok(());
    }
    let (old, new): (Value, Value) = (serde_json::from_slice(&old)?, serde_json::from_slice(&new)?);
    let differs = difference(&old, &new, "");
    match differs {
        None => Ok(()),
        Some(place) => bail!("{} differs at {place}", committed.display()),
    }
}

/// The first place where two documents differ by more than rounding.
fn difference(old: &Value, new: &Value, place: &str) -> Option<String> {
    let here = || Some(place.to_owned());
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => {
            let (old, new) = (old.as_f64()?, new.as_f64()?);
            let allowed = TOLERANCE * old.abs().max(1.0);
            if (old - new).abs() <= allowed { None } else { here() }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            let mut pairs = old.iter().zip(new).enumerate();
            pairs.find_map(|(index, (old, new))| difference(old, new, &format!("{place}/{index}")))
        }
        (Value::Object(old), Value::Object(new)) if old.len() == new.len() => {
            let known = old.iter().filter(|(key, _)| !VERSIONS.contains(&key.as_str()));
            known.into_iter().find_map(|(key, old)| {
                let place = format!("{place}/{key}");
                match new.get(key) {
                    Some(new) => difference(old, new, &place),
                    None => Some(place),
                }
            })
        }
        (old, new) if old == new => None,
        _ => here(),
    }
}

/// Sums of doubles in another order.
const TOLERANCE: f64 = 1e-9;
/// Say which version made a file, and are no numbers.
const VERSIONS: [&str; 2] = ["numpy", "scikit_learn"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::difference;

    #[test]
    fn rounding_is_no_difference_and_everything_else_is() {
        let old = json!({ "numpy": "2.4.6", "rows": [{ "value": 1.0 }, { "value": "x" }] });
        let same =
            json!({ "numpy": "2.5.0", "rows": [{ "value": 1.0 + 1e-12 }, { "value": "x" }] });
        assert_eq!(difference(&old, &same, ""), None);
        for (place, other) in [
            ("/rows/0/value", json!({ "numpy": "", "rows": [{ "value": 1.1 }, { "value": "x" }] })),
            ("/rows/1/value", json!({ "numpy": "", "rows": [{ "value": 1.0 }, { "value": "y" }] })),
            ("/rows", json!({ "numpy": "", "rows": [] })),
            ("/rows/0/value", json!({ "numpy": "", "rows": [{ "other": 1.0 }, { "value": "x" }] })),
        ] {
            assert_eq!(difference(&old, &other, "").as_deref(), Some(place), "{other}");
        }
    }
}
