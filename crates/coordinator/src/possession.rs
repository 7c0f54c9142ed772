//! Who has brought which file: only who had the bytes may name them.
//!
//! A file lies in the folder once, whoever brings it. Each caller who does has a row of its own, for each time that
//! it means to name the file: a node's goes with the reply that does so, a researcher's with the day.

use protocol::{Digest, NodeId};
use store::Transaction;
use store::rusqlite::params;
use transport::Caller;

use crate::record::Error;

/// Whether a caller has shown that it has a file, or was given it: it brought the file, its reply is kept with it, or
/// it is the plan or a kept model of its own experiment.
pub(crate) fn has(
    transaction: &Transaction<'_>,
    caller: &Caller,
    digest: &Digest,
) -> Result<bool, Error> {
    let digest = digest.to_string();
    let brought: bool = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM brought WHERE owner = ?1 AND digest = ?2)")?
        .query_row(params![caller.to_string(), digest], |row| row.get(0))?;
    if brought {
        return Ok(true);
    }
    match caller {
        Caller::Node(node) => has_replied(transaction, node, &digest),
        Caller::Researcher(researcher) => serves(transaction, researcher.as_str(), &digest),
    }
}

/// Whether a file belongs to an experiment of a researcher.
pub(crate) fn serves(
    transaction: &Transaction<'_>,
    researcher: &str,
    digest: &str,
) -> Result<bool, Error> {
    let mut select = transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM experiments WHERE researcher_id = ?1 AND plan_digest = ?2)
         OR EXISTS (SELECT 1 FROM rounds JOIN experiments USING (experiment_id)
         WHERE researcher_id = ?1 AND model_digest = ?2 AND model_kept)
         OR EXISTS (SELECT 1 FROM approval_requests WHERE researcher_id = ?1 AND plan_digest = ?2)",
    )?;
    Ok(select.query_row(params![researcher, digest], |row| row.get(0))?)
}

/// Notes that a caller has brought a file, or would have.
pub(crate) fn note(
    transaction: &Transaction<'_>,
    (owner, digest, size): (&str, &Digest, u64),
    at: i64,
) -> Result<(), Error> {
    transaction
        .prepare_cached(
            "INSERT INTO brought (owner, digest, size, times, at) VALUES (?1, ?2, ?3, 1, ?4)
             ON CONFLICT (owner, digest) DO UPDATE SET times = times + 1, at = excluded.at",
        )?
        .execute(params![owner, digest.to_string(), i64::try_from(size).unwrap_or(i64::MAX), at])?;
    Ok(())
}

/// Takes one of a node's notes back: from here on its reply's row says whether the file is wanted.
pub(crate) fn settle(
    transaction: &Transaction<'_>,
    node: &NodeId,
    digest: &Digest,
) -> Result<(), Error> {
    let (owner, digest) = (Caller::Node(node.clone()).to_string(), digest.to_string());
    transaction
        .prepare_cached("UPDATE brought SET times = times - 1 WHERE owner = ?1 AND digest = ?2")?
        .execute(params![owner, digest])?;
    transaction
        .prepare_cached("DELETE FROM brought WHERE owner = ?1 AND digest = ?2 AND times <= 0")?
        .execute(params![owner, digest])?;
    Ok(())
}

/// The bytes that a caller has brought and nothing names yet.
pub(crate) fn waiting_bytes(transaction: &Transaction<'_>, caller: &Caller) -> Result<u64, Error> {
    let researcher = match caller {
        Caller::Node(_) => "",
        Caller::Researcher(researcher) => researcher.as_str(),
    };
    let bytes: i64 = transaction
        .prepare_cached(
            "SELECT coalesce(sum(size), 0) FROM brought WHERE owner = ?1
             AND NOT EXISTS (SELECT 1 FROM experiments
             WHERE researcher_id = ?2 AND plan_digest = brought.digest)
             AND NOT EXISTS (SELECT 1 FROM approval_requests
             WHERE researcher_id = ?2 AND plan_digest = brought.digest)
             AND NOT EXISTS (SELECT 1 FROM rounds JOIN experiments USING (experiment_id)
             WHERE researcher_id = ?2 AND model_digest = brought.digest AND model_kept)",
        )?
        .query_row(params![caller.to_string(), researcher], |row| row.get(0))?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Forgets what was brought before this instant.
pub(crate) fn forget(transaction: &Transaction<'_>, oldest: i64) -> Result<(), Error> {
    transaction.execute("DELETE FROM brought WHERE at < ?1", [oldest])?;
    Ok(())
}

fn has_replied(transaction: &Transaction<'_>, node: &NodeId, digest: &str) -> Result<bool, Error> {
    let mut select = transaction.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM replies WHERE node = ?1 AND update_digest = ?2 AND update_kept)",
    )?;
    Ok(select.query_row(params![node.as_str(), digest], |row| row.get(0))?)
}
