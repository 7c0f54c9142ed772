//! The bounds of a grant as they are typed: a file, or one word each.

use std::path::PathBuf;

use node::administration::GrantText;
use node::grant::Grant;
use node::policy::{Bound, Presence};

use crate::failure::Failure;

/// Within which bounds a plan may run; without any, whoever asks may run it for ever.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct Bounds {
    /// A grant file, which says all of this; see docs/reference/grant-file.md.
    #[arg(long, value_name = "GRANT.toml", conflicts_with_all = ["researcher", "group", "dataset", "max", "min", "require", "rounds", "min_samples", "metric", "expires", "purpose", "family"])]
    grant: Option<PathBuf>,
    /// Only for this researcher; can be given several times.
    #[arg(long, value_name = "NAME")]
    researcher: Vec<String>,
    /// Only for the members of a group of the policy file; can be given several times.
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,
    /// Only on this dataset; can be given several times.
    #[arg(long, value_name = "NAME")]
    dataset: Vec<String>,
    /// The largest value of a training argument: epochs=5.
    #[arg(long, value_name = "ARGUMENT=NUMBER")]
    max: Vec<String>,
    /// The smallest value of a training argument: batch_size=8.
    #[arg(long, value_name = "ARGUMENT=NUMBER")]
    min: Vec<String>,
    /// A training argument that must be given: dp_args.
    #[arg(long, value_name = "ARGUMENT")]
    require: Vec<String>,
    /// The most rounds, the last validation of an experiment included.
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<u64>,
    /// The fewest rows.
    #[arg(long, value_name = "NUMBER")]
    min_samples: Option<u64>,
    /// A measured value that may leave; "loss" is the training loss; can be given several times.
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// When it ends: a duration or a day, "90d" or 2027-03-01.
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// What it is for, in your words; kept with the grant.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// A file with a table of what plans of the same family may differ in.
    #[arg(long, value_name = "FAMILY.toml")]
    family: Option<PathBuf>,
}

pub(crate) const HELP: &str = "A grant without bounds lets whoever asks run the plan for ever.\n\
    Example: wardround node plan approve 670804 --researcher ada --dataset ward \\\n         \
    --max epochs=5 --rounds 50 --expires 90d --purpose \"ethics vote 17\"";

impl Bounds {
    /// What a node is told.
    pub(crate) fn text(self) -> Result<GrantText, Failure> {
        if let Some(path) = self.grant {
            let text = read(&path)?;
            return Ok(GrantText { file: Some(path.display().to_string()), text });
        }
        let mut table = toml::Table::new();
        let mut put = |key: &str, names: Vec<String>| {
            if !names.is_empty() {
                table.insert(key.to_owned(), names.into());
            }
        };
        put("researchers", self.researcher);
        put("groups", self.group);
        put("datasets", self.dataset);
        put("metrics", self.metric);
        for (key, number) in [("rounds", self.rounds), ("minimum_samples", self.min_samples)] {
            if let Some(number) = number {
                let number = i64::try_from(number).unwrap_or(i64::MAX);
                table.insert(key.to_owned(), number.into());
            }
        }
        for (key, text) in [("expires", self.expires), ("purpose", self.purpose)] {
            if let Some(text) = text {
                table.insert(key.to_owned(), text.into());
            }
        }
        let arguments = arguments(&self.max, &self.min, self.require)?;
        if !arguments.is_empty() {
            table.insert("arguments".to_owned(), arguments.into());
        }
        if let Some(path) = self.family {
            table.insert("family".to_owned(), family(&path)?.into());
        }
        Ok(GrantText { file: None, text: table.to_string() })
    }
}

fn arguments(
    largest: &[String],
    smallest: &[String],
    required: Vec<String>,
) -> Result<toml::Table, Failure> {
    let mut arguments = toml::Table::new();
    for (key, bounds) in [("maximum", largest), ("minimum", smallest)] {
        for bound in bounds {
            let parsed = bound
                .split_once('=')
                .and_then(|(name, number)| Some((name.trim(), number.trim().parse::<f64>().ok()?)));
            let Some((name, number)) = parsed else {
                let message =
                    format!("\"{bound}\" is no bound: it must be an argument, = and a number");
                return Err(Failure::usage(message));
            };
            let (group, name) =
                name.split_once('.').map_or((None, name), |(group, name)| (Some(group), name));
            let place = match group {
                Some(group) => table_in(&mut arguments, group),
                None => &mut arguments,
            };
            table_in(place, name).insert(key.to_owned(), number.into());
        }
    }
    for name in required {
        arguments.insert(name, "required".into());
    }
    Ok(arguments)
}

/// The table of a name, a new one where there is none.
fn table_in<'a>(table: &'a mut toml::Table, name: &str) -> &'a mut toml::Table {
    let entry = table.entry(name.to_owned()).or_insert_with(|| toml::Table::new().into());
    if !entry.is_table() {
        *entry = toml::Table::new().into();
    }
    entry.as_table_mut().expect("it was just made one")
}

/// The table of a family file; the whole file where it has no table of that name.
fn family(path: &PathBuf) -> Result<toml::Table, Failure> {
    let parsed: Result<toml::Table, _> = read(path)?.parse();
    let mut table = parsed.map_err(|error| {
        let said = error.message().lines().next().unwrap_or_default().to_owned();
        Failure::usage(format!("{} is not valid TOML: {said}", path.display()))
    })?;
    match table.remove("family") {
        Some(toml::Value::Table(family)) if table.is_empty() => Ok(family),
        _ => Ok(table),
    }
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))
}

/// The bounds of a grant, one short phrase each.
pub(crate) fn in_words(grant: &Grant) -> Vec<String> {
    let mut words = Vec::new();
    let mut list = |what: &str, names: &[String]| {
        if !names.is_empty() {
            words.push(format!("{what} {}", names.join(", ")));
        }
    };
    list("researchers", &grant.researchers);
    list("groups", &grant.groups);
    let datasets: Vec<String> = grant.datasets.iter().map(ToString::to_string).collect();
    list("datasets", &datasets);
    list("metrics", grant.metrics.as_deref().unwrap_or_default());
    for (name, bound) in &grant.arguments {
        words.push(format!("{name} {}", bound_in_words(bound)));
    }
    words.extend(grant.rounds.map(|rounds| format!("at most {rounds} rounds")));
    words.extend(grant.minimum_samples.map(|rows| format!("at least {rows} rows")));
    words.extend(grant.expires_at.map(|end| format!("until {}", day(end))));
    words.extend(grant.family.as_ref().map(|family| format!("family: {}", family.in_words())));
    words
}

fn bound_in_words(bound: &Bound) -> String {
    match bound {
        Bound::Range(range) => {
            let least = range.minimum.map(|least| format!("at least {least}"));
            let most = range.maximum.map(|most| format!("at most {most}"));
            least.into_iter().chain(most).collect::<Vec<_>>().join(", ")
        }
        Bound::OneOf { one_of } => {
            let values: Vec<String> = one_of.iter().map(ToString::to_string).collect();
            format!("one of {}", values.join(", "))
        }
        Bound::Presence(Presence::Required) => "required".to_owned(),
        Bound::Presence(Presence::Forbidden) => "forbidden".to_owned(),
        Bound::Presence(Presence::Free) => "free".to_owned(),
    }
}

/// An instant to the second.
pub(crate) fn day(at: protocol::Timestamp) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.milliseconds());
    humantime::format_rfc3339_seconds(at).to_string().replace('T', " ").replace('Z', " UTC")
}
