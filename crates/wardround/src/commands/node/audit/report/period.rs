//! What a period's records come to: datasets, rounds, and everything else in order.

use std::collections::{BTreeMap, BTreeSet};

use node::audit::Record;

/// The records of a period, gathered by what they are about.
#[derive(Debug, Default)]
pub(super) struct Period<'a> {
    pub(super) datasets: BTreeMap<&'a str, Use<'a>>,
    /// By identifier, in the order of their first record.
    pub(super) rounds: Vec<Round<'a>>,
    /// Decisions about plans, grants and releases.
    pub(super) decisions: Vec<&'a Record>,
    /// Changes of datasets, policy, interpreters and members.
    pub(super) changes: Vec<&'a Record>,
    /// The node's own life: starts, stops, backups, damage.
    pub(super) events: Vec<&'a Record>,
}

/// How a dataset was used.
#[derive(Debug, Default)]
pub(super) struct Use<'a> {
    pub(super) name: &'a str,
    pub(super) rounds: BTreeSet<&'a str>,
    pub(super) released: u64,
    pub(super) refused: u64,
    pub(super) researchers: BTreeSet<&'a str>,
    pub(super) plans: BTreeSet<&'a str>,
}

/// One round.
#[derive(Debug)]
pub(super) struct Round<'a> {
    pub(super) id: &'a str,
    pub(super) first: &'a Record,
    pub(super) split: Option<&'a Record>,
    pub(super) release: Option<&'a Record>,
    pub(super) refusal: Option<&'a Record>,
}

impl<'a> Period<'a> {
    pub(super) fn of(records: &'a [Record]) -> Self {
        let mut period = Self::default();
        let mut places = BTreeMap::new();
        for record in records {
            match record.action.split_once('.').map_or("", |(group, _)| group) {
                "round" if object(record, "round").is_some() => {
                    period.take_round(record, &mut places);
                }
                "plan" | "release" | "grant" | "round" => period.decisions.push(record),
                "dataset" | "policy" | "python" | "identity" => period.changes.push(record),
                _ => period.events.push(record),
            }
        }
        period
    }

    fn take_round(&mut self, record: &'a Record, places: &mut BTreeMap<&'a str, usize>) {
        let Some(id) = object(record, "round") else { return };
        let place = *places.entry(id).or_insert_with(|| {
            let (split, release, refusal) = (None, None, None);
            self.rounds.push(Round { id, first: record, split, release, refusal });
            self.rounds.len() - 1
        });
        let round = &mut self.rounds[place];
        let (mut is_released, mut is_refused) = (false, false);
        // A later attempt's record stands for the round; it is counted once.
        match record.action.as_str() {
            "round.split" => round.split = Some(record),
            "round.release" => is_released = round.release.replace(record).is_none(),
            "round.refuse" => is_refused = round.refusal.replace(record).is_none(),
            "round.cancel" | "round.drop" => return self.decisions.push(record),
            _ => {}
        }
        let Some(dataset) = object(record, "dataset_id") else { return };
        let entry = self.datasets.entry(dataset).or_default();
        entry.name = object(record, "dataset").unwrap_or(entry.name);
        entry.rounds.insert(id);
        entry.released += u64::from(is_released);
        entry.refused += u64::from(is_refused);
        entry.researchers.extend(record.actor.strip_prefix("researcher:"));
        entry.plans.extend(object(record, "plan"));
    }
}

/// An object of a record.
pub(super) fn object<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.objects.get(name).map(String::as_str)
}
