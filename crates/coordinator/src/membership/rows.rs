//! Tokens and members in the database.

use identity::{Certified, Member, PublicKey, Role};
use protocol::{Digest, Timestamp};
use store::Transaction;
use store::rusqlite::{OptionalExtension, Row, params};

use super::{MemberRow, Refusal};
use crate::record::{self, Error, column};

/// The members that were not put out.
pub(super) fn present(transaction: &Transaction<'_>) -> Result<Vec<(Member, PublicKey)>, Error> {
    let sql = "SELECT member, identity FROM members WHERE revoked_at IS NULL";
    let mut select = transaction.prepare(sql)?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    let broken = |error| Error::row("members", error);
    let rows = rows.into_iter().map(|(member, identity)| {
        let member = member
            .parse()
            .map_err(|error: identity::member::NotMember| record::Error::row("members", error))?;
        let identity = identity.parse().map_err(|error: identity::key::Error| broken(error))?;
        Ok((member, identity))
    });
    rows.collect()
}

/// The identity that a member has, or had when it was put out.
pub(super) fn find(
    transaction: &Transaction<'_>,
    member: &Member,
) -> Result<Option<(String, bool)>, Error> {
    let sql = "SELECT identity, revoked_at IS NOT NULL FROM members WHERE member = ?1";
    let mut select = transaction.prepare(sql)?;
    let found = select.query_row([member.to_string()], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}

/// The identity that a member has now; none where it is out, or was never in.
pub(super) fn identity(
    transaction: &Transaction<'_>,
    member: &Member,
) -> Result<Option<PublicKey>, Error> {
    match find(transaction, member)? {
        Some((identity, false)) => identity
            .parse()
            .map(Some)
            .map_err(|error: identity::key::Error| Error::row("members", error)),
        Some((_, true)) | None => Ok(None),
    }
}

/// Keeps a token.
pub(super) fn invite(
    transaction: &Transaction<'_>,
    (secret, member, replaces): (&Digest, &Member, bool),
    (now, expires_at): (Timestamp, Timestamp),
) -> Result<(), Error> {
    let sql = "INSERT INTO tokens (secret, member, replaces, made_at, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let (secret, member) = (secret.to_string(), member.to_string());
    let row = params![secret, member, replaces, column(now), column(expires_at)];
    transaction.execute(sql, row)?;
    Ok(())
}

struct TokenRow {
    secret: String,
    member: String,
    replaces: bool,
    expires_at: Timestamp,
    used: Option<(Timestamp, String)>,
}

impl TokenRow {
    fn read(row: &Row<'_>) -> store::rusqlite::Result<Self> {
        let used_at: Option<i64> = row.get(4)?;
        let used_by: Option<String> = row.get(5)?;
        Ok(Self {
            secret: row.get(0)?,
            member: row.get(1)?,
            replaces: row.get(2)?,
            expires_at: instant(row.get(3)?),
            used: used_at.map(instant).zip(used_by),
        })
    }
}

/// Looks a token up for whoever shows it: it must be one that is good for this member now, used or not.
pub(super) fn check(
    transaction: &Transaction<'_>,
    secret: &Digest,
    member: &Member,
    now: Timestamp,
) -> Result<(), Refusal> {
    token(transaction, &secret.to_string(), member, now).map(drop)
}

fn token(
    transaction: &Transaction<'_>,
    secret: &str,
    member: &Member,
    now: Timestamp,
) -> Result<TokenRow, Refusal> {
    let sql = "SELECT secret, member, replaces, expires_at, used_at, used_by
               FROM tokens WHERE secret = ?1";
    let token = transaction.prepare(sql)?.query_row([secret], TokenRow::read).optional()?;
    let token =
        token.filter(|token| is_same(&token.secret, secret)).ok_or(Refusal::UnknownToken)?;
    if token.member != member.to_string() {
        return Err(Refusal::OtherMember(token.member));
    }
    if now >= token.expires_at {
        return Err(Refusal::ExpiredToken(token.expires_at));
    }
    Ok(token)
}

/// Spends a token for the member that a certificate was made for; says whether another identity was replaced.
pub(super) fn spend(
    transaction: &Transaction<'_>,
    (secret, certified, fingerprint): (&Digest, &Certified, &str),
    now: Timestamp,
) -> Result<bool, Refusal> {
    let secret = secret.to_string();
    let Certified { member, identity, .. } = certified;
    let token = token(transaction, &secret, member, now)?;
    let known = find(transaction, member)?;
    let identity = identity.to_string();
    let is_known = known.as_ref().is_some_and(|(known, _)| *known == identity);
    if let Some((at, by)) = token.used {
        return match known {
            _ if by != identity => Err(Refusal::UsedToken(at)),
            Some((_, false)) if is_known => renew(transaction, certified).map(|()| false),
            Some(_) | None => Err(Refusal::SpentToken),
        };
    }
    if known.is_some() && !token.replaces {
        return Err(Refusal::Taken(member.clone()));
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM members WHERE identity = ?1 AND member <> ?2)";
    let name = member.to_string();
    if transaction.query_row(sql, params![identity, name], |row| row.get(0))? {
        return Err(Refusal::OtherIdentity);
    }
    let sql = "UPDATE tokens SET used_at = ?2, used_by = ?3 WHERE secret = ?1";
    transaction.execute(sql, params![secret, column(now), identity])?;
    let sql = "INSERT OR REPLACE INTO members
               (member, identity, fingerprint, serial, certificate_expires_at, enrolled_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (serial, expires) = (&certified.serial, column(certified.expires_at));
    let row = params![name, identity, fingerprint, serial, expires, column(now)];
    transaction.execute(sql, row)?;
    Ok(known.is_some())
}

/// Notes a member's next certificate, if it still is a member with this identity.
pub(super) fn renew(transaction: &Transaction<'_>, certified: &Certified) -> Result<(), Refusal> {
    let Certified { member, identity, serial, expires_at, .. } = certified;
    let sql = "UPDATE members SET serial = ?3, certificate_expires_at = ?4
               WHERE member = ?1 AND identity = ?2 AND revoked_at IS NULL";
    let (name, identity) = (member.to_string(), identity.to_string());
    let changed = transaction.execute(sql, params![name, identity, serial, column(*expires_at)])?;
    if changed == 1 { Ok(()) } else { Err(Refusal::NoMember(member.clone())) }
}

/// Puts a member out; one that was put out before stays so. Its tokens that nobody has used are good for nothing more.
pub(super) fn revoke(
    transaction: &Transaction<'_>,
    member: &Member,
    now: Timestamp,
) -> Result<(), Refusal> {
    let name = member.to_string();
    let sql = "UPDATE members SET revoked_at = coalesce(revoked_at, ?2) WHERE member = ?1";
    let changed = transaction.execute(sql, params![name, column(now)])?;
    let sql = "DELETE FROM tokens WHERE member = ?1 AND used_at IS NULL";
    let forgotten = transaction.execute(sql, [&name])?;
    if changed + forgotten > 0 { Ok(()) } else { Err(Refusal::NoMember(member.clone())) }
}

/// The members of a role, by name.
pub(super) fn list(transaction: &Transaction<'_>, role: Role) -> Result<Vec<MemberRow>, Error> {
    let sql =
        "SELECT member, identity, fingerprint, certificate_expires_at, enrolled_at, revoked_at
               FROM members ORDER BY member";
    let mut select = transaction.prepare(sql)?;
    let rows = select.query_map([], |row| {
        let member: String = row.get(0)?;
        let revoked: Option<i64> = row.get(5)?;
        let name = member.strip_prefix(&format!("{role}:")).map(str::to_owned);
        Ok(name.map(|name| -> store::rusqlite::Result<MemberRow> {
            Ok(MemberRow {
                name,
                identity: row.get(1)?,
                fingerprint: row.get(2)?,
                certificate_expires_at: instant(row.get(3)?).milliseconds(),
                enrolled_at: instant(row.get(4)?).milliseconds(),
                revoked_at: revoked.map(|at| instant(at).milliseconds()),
            })
        }))
    })?;
    let rows = rows.filter_map(|row| row.and_then(Option::transpose).transpose());
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Compares all bytes, wherever the first difference is.
fn is_same(one: &str, other: &str) -> bool {
    let differing = one.bytes().zip(other.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differing == 0
}

fn instant(column: i64) -> Timestamp {
    Timestamp::from_milliseconds(u64::try_from(column).unwrap_or(0))
}
