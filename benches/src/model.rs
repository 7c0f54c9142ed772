//! A plan with a model of any size, a table for it, and files of its parameters.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Two square dense layers' worth of numbers with one output, over four columns.
#[derive(Debug, Clone, Copy)]
pub struct WideModel {
    units: u64,
}

impl WideModel {
    /// A model of about so many bytes.
    pub fn of_megabytes(megabytes: u64) -> Self {
        Self { units: (megabytes * 1_000_000 / 4).isqrt() }
    }

    /// The plan that describes it.
    pub fn plan(self) -> String {
        let Self { units } = self;
        PLAN.replace(
            "LAYERS",
            &format!(
                "{{ dense = {{ units = {units} }} }}, {{ dense = {{ units = {units} }} }}, {{ dense = {{ units = 1 }} }}"
            ),
        )
    }

    /// Writes parameters that depend on `seed`.
    ///
    /// The head ends in spaces, as other programs leave it and ours does not: an update that a node writes without
    /// training has other bytes than what it received, and so travels.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn write(self, path: &Path, seed: u64) -> anyhow::Result<u64> {
        let mut end = 0;
        let tensors = self.tensors().map(|(name, shape)| {
            let begin = end;
            end += shape.iter().product::<u64>() * 4;
            let shape =
                serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]});
            (name.to_owned(), shape)
        });
        let head = serde_json::Map::from_iter(tensors);
        let mut head = serde_json::to_vec(&head)?;
        head.resize(head.len().next_multiple_of(8) + 8, b' ');
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&(head.len() as u64).to_le_bytes())?;
        file.write_all(&head)?;
        let mut state = seed;
        for _ in 0..end / 4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // The upper bits as a number in [1, 2), less 1.5.
            let value = f32::from_bits(0x3f80_0000 | (state >> 41) as u32) - 1.5;
            file.write_all(&value.to_le_bytes())?;
        }
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok(end)
    }

    fn tensors(self) -> impl Iterator<Item = (&'static str, Vec<u64>)> {
        let Self { units } = self;
        [
            ("layers.0.bias", vec![units]),
            ("layers.0.weight", vec![4, units]),
            ("layers.1.bias", vec![units]),
            ("layers.1.weight", vec![units, units]),
            ("layers.2.bias", vec![1]),
            ("layers.2.weight", vec![units, 1]),
        ]
        .into_iter()
    }
}

/// One dense unit over four columns.
pub fn small_plan() -> String {
    PLAN.replace("LAYERS", "{ dense = { units = 1 } }")
}

/// An experiment of so many rounds, without validation.
pub fn experiment(rounds: u32, epochs: u32) -> String {
    EXPERIMENT.replace("ROUNDS", &rounds.to_string()).replace("EPOCHS", &epochs.to_string())
}

/// A table of four measurements and a label.
pub fn table(rows: usize) -> String {
    let mut table = "first,second,third,fourth,label\n".to_owned();
    for row in 0..rows {
        let cells = [7, 11, 13, 17].map(|step| format!("0.{:02}", row * step % 100));
        let label = if row % 2 == 0 { "no" } else { "yes" };
        table.push_str(&format!("{},{label}\n", cells.join(",")));
    }
    table
}

const PLAN: &str = r#"[plan]
name = "bench"
runtime = "native"

[data]
task = "binary"
target = "label"
classes = ["no", "yes"]
features = "*"
missing = "error"
standardize = "none"

[metrics]
names = ["ACCURACY"]
default = "ACCURACY"

[model]
init = "zeros"
layers = [LAYERS]

[loss]
kind = "binary_cross_entropy"

[optimizer]
kind = "sgd"
"#;

const EXPERIMENT: &str = r#"[experiment]
name = "bench"
tags = ["bench"]
plan = "plan.toml"
rounds = ROUNDS
seed = 42
min_nodes = 2
round_deadline = "300s"

[strategy]
kind = "fed_avg"

[training_args]
epochs = EPOCHS

[training_args.loader_args]
batch_size = 16

[training_args.optimizer_args]
lr = 0.1
"#;
