//! Reads what an owner grants, from a file or from what was typed: as strictly as the policy, with line, key and rule.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::{DatasetName, Timestamp};
use toml::de::DeValue;

use super::argument::Bound;
use super::key::Kind;
use super::reader::{ARGUMENTS, Flaw, Reader, Rules, Value, plain, texts};

/// The bounds of a grant as they are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GrantForm {
    pub(crate) researchers: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) datasets: Vec<DatasetName>,
    pub(crate) arguments: BTreeMap<String, Bound>,
    pub(crate) rounds: Option<u64>,
    pub(crate) minimum_samples: Option<u64>,
    pub(crate) metrics: Option<Vec<String>>,
    pub(crate) expires: Option<Expiry>,
    pub(crate) purpose: String,
    pub(crate) family: Option<FamilyForm>,
}

/// When a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    After(Duration),
    At(Timestamp),
}

/// What a family of native plans may differ in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FamilyForm {
    pub(crate) layers: Option<Vec<String>>,
    pub(crate) most_layers: Option<u64>,
    pub(crate) most_units: Option<u64>,
    pub(crate) optimizers: Option<Vec<String>>,
}

impl GrantForm {
    /// Reads a text; the error names the line, counted from 1, and the rule.
    pub(crate) fn read(text: &str) -> Result<Self, (usize, String)> {
        read(text).map_err(|flaw| (flaw.line, flaw.problem))
    }
}

impl Expiry {
    /// The instant, for a grant that is given now.
    pub(crate) fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(duration) => now.after(duration),
            Self::At(at) => at,
        }
    }
}

fn read(text: &str) -> Result<GrantForm, Flaw> {
    let reader = Reader { text };
    let parsed = reader.parse()?;
    let mut form = GrantForm::default();
    for (key, value) in parsed.get_ref() {
        let broken = |rule: &str| {
            let problem = format!("key \"{}\" {rule}", key.get_ref());
            reader.flaw(key.span().start, problem)
        };
        let known = KEYS.iter().find(|(known, _)| known == key.get_ref());
        let Some((_, known)) = known else {
            let known = names_of(KEYS);
            let problem = format!("unknown key \"{}\", expected one of {known}", key.get_ref());
            return Err(reader.flaw(key.span().start, problem));
        };
        let value = value.get_ref();
        match known {
            Key::Researchers => {
                form.researchers = names(Kind::Researchers, value).map_err(|rule| broken(&rule))?
            }
            Key::Groups => {
                form.groups =
                    texts(value).ok_or_else(|| broken("must be a list of groups' names"))?
            }
            Key::Datasets => {
                let names = texts(value).unwrap_or_else(|| vec![String::new()]);
                let parsed: Result<Vec<DatasetName>, _> =
                    names.iter().map(|name| name.parse()).collect();
                form.datasets = parsed.map_err(|_| broken("must be a list of datasets' names"))?;
            }
            Key::Metrics => {
                form.metrics = Some(names(Kind::Metrics, value).map_err(|rule| broken(&rule))?)
            }
            Key::Rounds => form.rounds = Some(whole(value, 1).map_err(|rule| broken(&rule))?),
            Key::MinimumSamples => {
                form.minimum_samples = Some(whole(value, 0).map_err(|rule| broken(&rule))?);
            }
            Key::Expires => form.expires = Some(expiry(value).ok_or_else(|| broken(EXPIRES))?),
            Key::Purpose => form.purpose = text_of(value).ok_or_else(|| broken(PURPOSE))?,
            Key::Arguments => {
                let DeValue::Table(table) = value else {
                    return Err(broken(&Kind::Arguments.rule()));
                };
                let mut rules = Rules::new();
                reader.arguments("grant", "", table, &mut rules)?;
                form.arguments = bounds(rules);
            }
            Key::Family => {
                form.family =
                    Some(family(&reader, value).unwrap_or_else(|| Err(broken("must be a table")))?)
            }
        }
    }
    Ok(form)
}

fn family(reader: &Reader<'_>, value: &DeValue<'_>) -> Option<Result<FamilyForm, Flaw>> {
    let DeValue::Table(table) = value else { return None };
    let mut form = FamilyForm::default();
    for (key, value) in table {
        let broken = |rule: String| reader.broken(key, "family", &rule);
        let value = value.get_ref();
        let list = || texts(value).ok_or_else(|| "must be a list of names".to_owned());
        let known = FAMILY_KEYS.iter().find(|(known, _)| known == key.get_ref());
        let read = match known.map(|(_, known)| known) {
            Some(FamilyKey::Layers) => list().map(|names| form.layers = Some(names)),
            Some(FamilyKey::Optimizers) => list().map(|names| form.optimizers = Some(names)),
            Some(FamilyKey::MostLayers) => {
                whole(value, 1).map(|most| form.most_layers = Some(most))
            }
            Some(FamilyKey::MostUnits) => whole(value, 1).map(|most| form.most_units = Some(most)),
            None => Err(format!("is unknown, expected one of {}", names_of(FAMILY_KEYS))),
        };
        if let Err(rule) = read {
            return Some(Err(broken(rule)));
        }
    }
    Some(Ok(form))
}

fn names(kind: Kind, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    match plain(kind, value) {
        Some(Value::Names(names)) => Ok(names),
        _ => Err(kind.rule()),
    }
}

fn whole(value: &DeValue<'_>, least: u64) -> Result<u64, String> {
    let kind = Kind::Whole { least, most: u64::MAX };
    match plain(kind, value) {
        Some(Value::Whole(number)) => Ok(number),
        _ => Err(kind.rule()),
    }
}

fn bounds(rules: Rules) -> BTreeMap<String, Bound> {
    let bounds = rules.into_iter().filter_map(|(key, said)| match said.value {
        Value::Bound(bound) => Some((key.strip_prefix(ARGUMENTS)?.to_owned(), bound)),
        _ => None,
    });
    bounds.collect()
}

/// A text of an owner's own, short enough to be kept and shown.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) if text.len() <= LONGEST_TEXT => Some(text.to_string()),
        _ => None,
    }
}

/// Reads `"90d"`, `"2027-03-01"`, or the same as a date of TOML's: a day counts to its end.
fn expiry(value: &DeValue<'_>) -> Option<Expiry> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(instant) => instant.to_string(),
        _ => return None,
    };
    if let Ok(duration) = humantime::parse_duration(&text) {
        return Some(Expiry::After(duration));
    }
    let text = if text.len() == "2027-03-01".len() { format!("{text}T23:59:59Z") } else { text };
    let at = humantime::parse_rfc3339_weak(&text).ok()?;
    let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Expiry::At(Timestamp::from_milliseconds(u64::try_from(since.as_millis()).ok()?)))
}

/// What a grant can say, in the order of the reference page.
const KEYS: &[(&str, Key)] = &[
    ("researchers", Key::Researchers),
    ("groups", Key::Groups),
    ("datasets", Key::Datasets),
    ("arguments", Key::Arguments),
    ("rounds", Key::Rounds),
    ("minimum_samples", Key::MinimumSamples),
    ("metrics", Key::Metrics),
    ("expires", Key::Expires),
    ("purpose", Key::Purpose),
    ("family", Key::Family),
];

#[derive(Clone, Copy)]
enum Key {
    Researchers,
    Groups,
    Datasets,
    Arguments,
    Rounds,
    MinimumSamples,
    Metrics,
    Expires,
    Purpose,
    Family,
}

/// What a family can say.
const FAMILY_KEYS: &[(&str, FamilyKey)] = &[
    ("layers", FamilyKey::Layers),
    ("most_layers", FamilyKey::MostLayers),
    ("most_units", FamilyKey::MostUnits),
    ("optimizers", FamilyKey::Optimizers),
];

#[derive(Clone, Copy)]
enum FamilyKey {
    Layers,
    MostLayers,
    MostUnits,
    Optimizers,
}

fn names_of<T>(keys: &[(&str, T)]) -> String {
    keys.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

const EXPIRES: &str = "must be a duration or a day, \"90d\" or \"2027-03-01\"";
const PURPOSE: &str = "must be a text of at most 2000 bytes";
/// Bytes of a purpose.
const LONGEST_TEXT: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_file_is_read_with_all_its_bounds() {
        let text = "purpose = \"vote 17\"\nresearchers = [\"ada\"]\ngroups = [\"g\"]\ndatasets = [\"ward\"]\n\
                    rounds = 5\nminimum_samples = 100\nmetrics = [\"loss\"]\nexpires = \"90d\"\n\
                    arguments.epochs = { maximum = 5 }\narguments.dp_args = \"required\"\n\
                    [family]\nlayers = [\"dense\"]\nmost_layers = 3\nmost_units = 64\noptimizers = [\"sgd\"]";
        let form = GrantForm::read(text).unwrap();
        assert_eq!((form.rounds, form.minimum_samples), (Some(5), Some(100)));
        assert_eq!(form.arguments.keys().collect::<Vec<_>>(), ["dp_args", "epochs"]);
        let day = Duration::from_secs(24 * 60 * 60);
        let now = Timestamp::from_milliseconds(7);
        assert_eq!(form.expires.unwrap().instant(now), now.after(90 * day));
        assert_eq!(form.family.unwrap().most_units, Some(64));
        for written in ["\"1970-01-02\"", "1970-01-02"] {
            let form = GrantForm::read(&format!("expires = {written}")).unwrap();
            let end = form.expires.unwrap().instant(now).milliseconds();
            assert_eq!(end, 2 * 24 * 60 * 60 * 1_000 - 1_000);
        }
    }

    #[test]
    fn a_mistake_names_its_line_and_its_rule() {
        for (text, line, problem) in [
            ("rounds = 0", 1, "key \"rounds\" must be a whole number of at least 1"),
            (
                "\nexpires = \"soon\"",
                2,
                "key \"expires\" must be a duration or a day, \"90d\" or \"2027-03-01\"",
            ),
            ("[arguments]\nepochs = 5", 2, "key \"grant.arguments.epochs\" must be { minimum"),
            ("[family]\nwidth = 1", 2, "key \"family.width\" is unknown, expected one of layers"),
            ("round = 5", 1, "unknown key \"round\", expected one of researchers"),
            ("family = 1", 1, "key \"family\" must be a table"),
            (
                "researchers = [\"a b\"]",
                1,
                "key \"researchers\" must be a list of researchers' names",
            ),
        ] {
            let (found, said) = GrantForm::read(text).unwrap_err();
            assert_eq!(found, line, "{text}");
            assert!(said.starts_with(problem), "{text}: {said}");
        }
    }
}
