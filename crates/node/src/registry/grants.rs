//! The owner's grants, each with the node's signature, and the rounds that ran under them.

use std::collections::BTreeMap;

use protocol::{Digest, RoundId, Timestamp};
use rusqlite::{OptionalExtension, params};
use store::{Transaction, rusqlite};

use super::plans::{self, Decision};
use super::{Error, column, restores};
use crate::audit::PublicKey;
use crate::audit::key::Key;
use crate::grant::{Grant, Kept, Seal};

/// Writes a grant under a new number, signed.
pub(crate) fn give(
    transaction: &Transaction<'_>,
    seal: &Seal,
    grant: Grant,
) -> Result<Grant, Error> {
    transaction.execute(
        "INSERT INTO node_grants (plan, family, body, signature) VALUES (?1, ?2, '', x'')",
        params![grant.plan.to_string(), grant.family.is_some()],
    )?;
    let number = u64::try_from(transaction.last_insert_rowid()).unwrap_or(0);
    let grant = Grant { number, ..grant };
    keep(transaction, seal, &grant)?;
    Ok(grant)
}

/// Writes a grant in place of what was known of it, signed.
pub(crate) fn keep(transaction: &Transaction<'_>, seal: &Seal, grant: &Grant) -> Result<(), Error> {
    let (body, signature) = seal.sign(grant)?;
    transaction.execute(
        "UPDATE node_grants SET body = ?2, signature = ?3 WHERE number = ?1",
        params![column(grant.number), body, signature],
    )?;
    Ok(())
}

/// The grants of a plan, and those of all families, in the order in which they were given.
pub(crate) fn about(
    transaction: &Transaction<'_>,
    seal: &Seal,
    plan: &Digest,
) -> Result<Vec<Kept>, Error> {
    let select = "SELECT number, body, signature FROM node_grants \
                  WHERE plan = ?1 OR family ORDER BY number";
    read(transaction, seal, select, &plan.to_string())
}

/// All grants, in the order in which they were given.
pub(crate) fn all(transaction: &Transaction<'_>, seal: &Seal) -> Result<Vec<Kept>, Error> {
    let select = "SELECT number, body, signature FROM node_grants WHERE ?1 = '' ORDER BY number";
    read(transaction, seal, select, "")
}

fn read(
    transaction: &Transaction<'_>,
    seal: &Seal,
    select: &str,
    key: &str,
) -> Result<Vec<Kept>, Error> {
    let mut select = transaction.prepare_cached(select)?;
    let rows = select.query_map([key], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let mut kept = Vec::new();
    for row in rows {
        let (number, body, signature) = row?;
        let number = u64::try_from(number).unwrap_or(0);
        let grant = seal.holds(number, &body, &signature);
        kept.push(Kept { number, grant, used: used(transaction, number)? });
    }
    Ok(kept)
}

/// Signs what one of these keys has signed with another key; gives how many grants that are. What none of them has
/// signed stays as it is, and counts as no grant.
pub(crate) fn sign_anew(
    transaction: &Transaction<'_>,
    seal: &Seal,
    before: &[PublicKey],
    key: &Key,
) -> Result<u64, Error> {
    let mut select = transaction.prepare("SELECT number, body, signature FROM node_grants")?;
    let rows = select.query_map([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let rows: Vec<(i64, String, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
    let mut signed = 0;
    for (number, body, signature) in rows {
        let Some(renewed) = seal.renewed((&body, &signature), before, key) else { continue };
        let update = "UPDATE node_grants SET signature = ?2 WHERE number = ?1";
        transaction.execute(update, params![number, renewed])?;
        signed += 1;
    }
    Ok(signed)
}

/// The plan that each grant was given for, as its row says, whatever its signature.
pub(crate) fn plans_of(transaction: &Transaction<'_>) -> Result<BTreeMap<u64, String>, Error> {
    let mut select = transaction.prepare_cached("SELECT number, plan FROM node_grants")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map(|(number, plan)| (u64::try_from(number).unwrap_or(0), plan)))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

/// How many rounds have run under a grant; a round that was asked for again counts once.
pub(crate) fn used(transaction: &Transaction<'_>, number: u64) -> Result<u64, Error> {
    if restores::is_uncounted(transaction, number)? {
        return Ok(restores::UNKNOWN);
    }
    let select = "SELECT count(DISTINCT use) FROM node_grant_uses WHERE grant_number = ?1";
    let count: i64 = transaction.query_row(select, [column(number)], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The number of the grant that was given last; 0 where none was.
pub(super) fn latest(transaction: &Transaction<'_>) -> Result<u64, Error> {
    let select = "SELECT coalesce(max(number), 0) FROM node_grants";
    let number: i64 = transaction.query_row(select, [], |row| row.get(0))?;
    Ok(u64::try_from(number).unwrap_or(0))
}

/// Whether a round counts under a grant already.
pub(crate) fn is_counted(
    transaction: &Transaction<'_>,
    number: u64,
    r#use: &Digest,
) -> Result<bool, Error> {
    let select = "SELECT 1 FROM node_grant_uses WHERE grant_number = ?1 AND use = ?2";
    let found =
        transaction.query_row(select, params![column(number), r#use.to_string()], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Counts a round under a grant.
pub(crate) fn count(
    transaction: &Transaction<'_>,
    number: u64,
    r#use: &Digest,
    round: RoundId,
) -> Result<(), Error> {
    transaction.execute(
        "INSERT OR IGNORE INTO node_grant_uses (grant_number, use, round_id) VALUES (?1, ?2, ?3)",
        params![column(number), r#use.to_string(), round.to_string()],
    )?;
    Ok(())
}

/// The grant under which a round ran.
pub(crate) fn of_round(
    transaction: &Transaction<'_>,
    round: RoundId,
) -> Result<Option<u64>, Error> {
    let select = "SELECT grant_number FROM node_grant_uses WHERE round_id = ?1 \
                  ORDER BY grant_number DESC LIMIT 1";
    let found: Option<i64> =
        transaction.query_row(select, [round.to_string()], |row| row.get(0)).optional()?;
    Ok(found.and_then(|number| u64::try_from(number).ok()))
}

/// Makes a grant without bounds of every approval that was given before there were grants; once.
pub(crate) fn adopt(
    transaction: &Transaction<'_>,
    seal: &Seal,
    now: Timestamp,
) -> Result<(), Error> {
    let mut select = transaction.prepare("SELECT digest FROM node_approvals_before_grants")?;
    let digests = select.query_map([], |row| row.get::<_, String>(0))?;
    let digests: Vec<String> = digests.collect::<Result<_, _>>()?;
    for digest in digests {
        let plan = plans::find(transaction, &digest)?;
        if plan.decision == Decision::Approved {
            let granted_at = plan.decided_at.unwrap_or(now);
            give(transaction, seal, Grant::without_bounds(plan.plan.digest, granted_at))?;
        }
    }
    transaction.execute("DELETE FROM node_approvals_before_grants", [])?;
    Ok(())
}

/// Whether approvals wait to be made grants.
pub(crate) fn is_adopted(transaction: &Transaction<'_>) -> Result<bool, Error> {
    let select = "SELECT 1 FROM node_approvals_before_grants LIMIT 1";
    Ok(transaction.query_row(select, [], |_| Ok(())).optional()?.is_none())
}
