//! The keys of a policy's tables: their names, and what a value must be.

/// What the value of a key must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list of researchers' names.
    Researchers,
    /// A list out of these words.
    Words(&'static [&'static str]),
    /// A list of metrics' names.
    Metrics,
    /// A whole number within these bounds.
    Whole { least: u64, most: u64 },
    /// A number above 0.
    Positive,
    /// `true` or `false`.
    Flag,
    /// A table of bounds on training arguments.
    Arguments,
    /// A table of ranges by metric.
    Ranges,
}

/// Every key of `[defaults]` and of `[dataset.NAME]`, in the order of the reference page.
pub(crate) const KEYS: &[(&str, Kind)] = &[
    ("researchers", Kind::Researchers),
    ("runtimes", Kind::Words(&["native", "python", "statistics"])),
    ("modes", Kind::Words(&["train", "validate"])),
    ("arguments", Kind::Arguments),
    ("rounds_per_day", Kind::Whole { least: 1, most: u64::MAX }),
    ("maximum_seconds", Kind::Whole { least: 1, most: u64::MAX }),
    ("memory_limit", Kind::Whole { least: 1, most: u64::MAX }),
    ("disk_limit", Kind::Whole { least: 1, most: u64::MAX }),
    ("gpu", Kind::Flag),
    ("minimum_samples", Kind::Whole { least: 0, most: u64::MAX }),
    ("maximum_update_norm", Kind::Positive),
    ("maximum_update_bytes", Kind::Whole { least: 1, most: u64::MAX }),
    ("minimum_validation_samples", Kind::Whole { least: 0, most: u64::MAX }),
    ("scalars_per_round", Kind::Whole { least: 0, most: u64::MAX }),
    ("metrics", Kind::Metrics),
    ("metric_digits", Kind::Whole { least: 1, most: 15 }),
    ("metric_ranges", Kind::Ranges),
    ("statistics_minimum_count", Kind::Whole { least: 1, most: u64::MAX }),
    ("statistics_minimum_difference", Kind::Whole { least: 0, most: u64::MAX }),
    ("statistics_extremes", Kind::Flag),
    ("statistics_per_day", Kind::Whole { least: 0, most: u64::MAX }),
    ("statistics_total", Kind::Whole { least: 0, most: u64::MAX }),
    ("hold", Kind::Flag),
    ("second_person", Kind::Flag),
];

/// The kind of a key; none for one that nothing knows.
pub(crate) fn kind(key: &str) -> Option<Kind> {
    KEYS.iter().find(|(known, _)| *known == key).map(|(_, kind)| *kind)
}

impl Kind {
    /// What a value must be, as a sentence whose subject is the key.
    pub(crate) fn rule(self) -> String {
        match self {
            Self::Researchers => "must be a list of researchers' names".to_owned(),
            Self::Words(words) => format!("must be a list out of \"{}\"", words.join("\", \"")),
            Self::Metrics => "must be a list of metrics' names".to_owned(),
            Self::Whole { least, most: u64::MAX } => {
                format!("must be a whole number of at least {least}")
            }
            Self::Whole { least, most } => format!("must be a whole number from {least} to {most}"),
            Self::Positive => "must be a number above 0".to_owned(),
            Self::Flag => "must be true or false".to_owned(),
            Self::Arguments => "must be a table of bounds on training arguments".to_owned(),
            Self::Ranges => "must be a table of ranges by metric".to_owned(),
        }
    }
}
