//! Queries for statistics that were charged to a researcher, and whom answers were about.

use protocol::{DatasetId, ResearcherId, RoundId, Timestamp};
use runtime::Cohort;
use rusqlite::params;
use store::{Transaction, rusqlite};

use super::{Error, column};

/// How many queries a researcher has had on a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charged {
    /// Since the instant that was asked about.
    pub(crate) lately: u64,
    /// Ever.
    pub(crate) ever: u64,
}

/// Counts the queries that were charged before, other rounds' than this one's.
pub(crate) fn charged(
    transaction: &Transaction<'_>,
    (round, researcher, dataset): (RoundId, &ResearcherId, DatasetId),
    since: Timestamp,
) -> Result<Charged, Error> {
    let count = transaction.query_row(
        "SELECT count(*) FILTER (WHERE charged_at >= ?4), count(*) FROM node_statistics_queries \
         WHERE researcher = ?2 AND dataset_id = ?3 AND round_id <> ?1",
        params![
            round.to_string(),
            researcher.as_str(),
            dataset.to_string(),
            column(since.milliseconds())
        ],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    )?;
    let whole = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(Charged { lately: whole(count.0), ever: whole(count.1) })
}

/// Charges a query; the same round is charged once, however often it is tried.
pub(crate) fn charge(
    transaction: &Transaction<'_>,
    (round, researcher, dataset): (RoundId, &ResearcherId, DatasetId),
    now: Timestamp,
) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO node_statistics_queries (round_id, researcher, dataset_id, charged_at) \
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (round_id) DO NOTHING",
        params![
            round.to_string(),
            researcher.as_str(),
            dataset.to_string(),
            column(now.milliseconds())
        ],
    )?;
    Ok(())
}

/// By how few patients a group of a query differs from one that was answered; none where it differs from none of them.
pub(crate) fn smallest_difference(
    transaction: &Transaction<'_>,
    dataset: DatasetId,
    cohorts: &[Cohort],
) -> Result<Option<u64>, Error> {
    let mut select = transaction
        .prepare_cached("SELECT body FROM node_statistics_cohorts WHERE dataset_id = ?1")?;
    let mut rows = select.query([dataset.to_string()])?;
    let mut smallest = None;
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(0)?;
        let answered = Cohort::from_bytes(&body)
            .ok_or(Error::Damaged { what: "a cohort of answered statistics" })?;
        let differences = cohorts.iter().filter_map(|cohort| cohort.difference(&answered));
        smallest = smallest.into_iter().chain(differences).min();
    }
    Ok(smallest)
}

/// Notes whom an answer is about; a cohort that is known already is kept once.
pub(crate) fn remember(
    transaction: &Transaction<'_>,
    dataset: DatasetId,
    cohorts: &[Cohort],
) -> Result<(), Error> {
    for cohort in cohorts {
        let body = cohort.to_bytes();
        let digest = protocol::Digest::of(&body).to_string();
        transaction.execute(
            "INSERT INTO node_statistics_cohorts (dataset_id, digest, body) VALUES (?1, ?2, ?3) \
             ON CONFLICT (dataset_id, digest) DO NOTHING",
            params![dataset.to_string(), digest, body],
        )?;
    }
    Ok(())
}
