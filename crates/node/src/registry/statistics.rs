//! Queries for statistics that were charged to a researcher, and whom answers were about.
//!
//! Both are kept for ever, because a later answer could be subtracted from any; and by the dataset's name: a table that is registered anew after a correction is still the same patients'.

use protocol::{DatasetName, ResearcherId, RoundId, Timestamp};
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
    (round, researcher, dataset): (RoundId, &ResearcherId, &DatasetName),
    since: Timestamp,
) -> Result<Charged, Error> {
    let count = transaction.query_row(
        "SELECT count(*) FILTER (WHERE charged_at >= ?4), count(*) FROM node_statistics_queries \
         WHERE researcher = ?2 AND dataset = ?3 AND round_id <> ?1",
        params![
            round.to_string(),
            researcher.as_str(),
            dataset.as_str(),
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
    (round, researcher, dataset): (RoundId, &ResearcherId, &DatasetName),
    now: Timestamp,
) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO node_statistics_queries (round_id, researcher, dataset, charged_at) \
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (round_id) DO NOTHING",
        params![
            round.to_string(),
            researcher.as_str(),
            dataset.as_str(),
            column(now.milliseconds())
        ],
    )?;
    Ok(())
}

/// By how few patients a group of a query differs from one that was answered; none where it differs from none of them.
pub(crate) fn smallest_difference(
    transaction: &Transaction<'_>,
    dataset: &DatasetName,
    cohorts: &[Cohort],
) -> Result<Option<u64>, Error> {
    let mut select = transaction
        .prepare_cached("SELECT body FROM node_statistics_cohorts WHERE dataset = ?1")?;
    let mut rows = select.query([dataset.as_str()])?;
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
    dataset: &DatasetName,
    cohorts: &[Cohort],
) -> Result<(), Error> {
    for cohort in cohorts {
        let body = cohort.to_bytes();
        let digest = protocol::Digest::of(&body).to_string();
        transaction.execute(
            "INSERT INTO node_statistics_cohorts (dataset, digest, body) VALUES (?1, ?2, ?3) \
             ON CONFLICT (dataset, digest) DO NOTHING",
            params![dataset.as_str(), digest, body],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::Digest;
    use runtime::PatientRow;
    use store::Database;

    use super::*;

    fn database(folder: &std::path::Path) -> Database {
        Database::open(&folder.join("node.sqlite"), &[crate::registry::MIGRATIONS]).unwrap()
    }

    fn at(milliseconds: u64) -> Timestamp {
        Timestamp::from_milliseconds(milliseconds)
    }

    #[test]
    fn a_query_is_charged_once_to_its_researcher_and_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let (ada, grace): (ResearcherId, ResearcherId) =
            ("ada".parse().unwrap(), "grace".parse().unwrap());
        let (ward, clinic): (DatasetName, DatasetName) =
            ("ward".parse().unwrap(), "clinic".parse().unwrap());
        let round = |last: u32| -> RoundId {
            format!("0197f3a0-0000-7000-8000-00000000000{last}").parse().unwrap()
        };
        let counted = database(folder.path()).write_blocking(move |transaction| {
            charge(transaction, (round(1), &ada, &ward), at(10))?;
            charge(transaction, (round(1), &ada, &ward), at(900))?;
            charge(transaction, (round(2), &ada, &ward), at(500))?;
            charge(transaction, (round(3), &ada, &clinic), at(500))?;
            charge(transaction, (round(4), &grace, &ward), at(500))?;
            let next = charged(transaction, (round(5), &ada, &ward), at(500))?;
            let again = charged(transaction, (round(2), &ada, &ward), at(0))?;
            Ok::<_, Error>((next, again))
        });
        let (next, again) = counted.unwrap();
        assert_eq!(next, Charged { lately: 1, ever: 2 });
        assert_eq!(again, Charged { lately: 1, ever: 1 }, "a round does not count itself");
    }

    #[test]
    fn the_smallest_difference_is_looked_for_among_all_answers_about_a_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let data = Digest::of(b"rows");
        let row = |patient| PatientRow { patient, row: 1 };
        let cohort = move |end: u64| Cohort::of_patients(data, (0..end).map(row).collect());
        let (ward, clinic): (DatasetName, DatasetName) =
            ("ward".parse().unwrap(), "clinic".parse().unwrap());
        let found = database(folder.path()).write_blocking(move |transaction| {
            remember(transaction, &ward, &[cohort(50), cohort(100)])?;
            remember(transaction, &ward, &[cohort(50)])?;
            let look = |name, end| smallest_difference(transaction, name, &[cohort(end)]);
            Ok::<_, Error>((look(&ward, 93)?, look(&ward, 50)?, look(&clinic, 93)?))
        });
        let (near, same, elsewhere) = found.unwrap();
        assert_eq!((near, same, elsewhere), (Some(7), Some(50), None));
    }
}
