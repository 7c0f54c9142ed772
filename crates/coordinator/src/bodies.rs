//! Short files, updates and models, whose bytes are rows of the database.
//!
//! A row is written in the commit that names its file, so that one synchronisation keeps both. The file itself lies
//! beside the others, not synchronised: whoever reads it knows no difference, and what a loss of power takes of it is
//! written again from its row at the next start.

use std::io::Read as _;

use protocol::Digest;
use store::artifact::{ArtifactStore, Error as ArtifactError};
use store::rusqlite::params;
use store::{Database, Durability, Transaction};

use crate::record::{self, Error};
use crate::retention;

/// Keeps the bytes of a file.
pub(crate) fn keep(
    transaction: &Transaction<'_>,
    digest: &Digest,
    bytes: &[u8],
) -> Result<(), Error> {
    transaction.execute(
        "INSERT INTO bodies (digest, body) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING",
        params![digest.to_string(), bytes],
    )?;
    Ok(())
}

/// Drops the bytes of a file that no row names any more.
pub(crate) fn drop_unwanted(transaction: &Transaction<'_>, digest: &Digest) -> Result<(), Error> {
    if !retention::is_wanted(transaction, digest)? {
        transaction.execute("DELETE FROM bodies WHERE digest = ?1", [digest.to_string()])?;
    }
    Ok(())
}

/// Writes the files again that a loss of power has taken.
pub(crate) fn restore(
    database: &Database,
    artifacts: &ArtifactStore,
) -> Result<(), crate::service::Error> {
    let digests = database.read_blocking(list)?;
    for digest in digests {
        match artifacts.open_verified(&digest) {
            Err(ArtifactError::Absent { .. } | ArtifactError::Damaged { .. }) => {}
            found => {
                found?;
                continue;
            }
        }
        let bytes = database.read_blocking(|transaction| read_row(transaction, &digest))?;
        artifacts.put(&bytes, &digest, Durability::Process)?;
        tracing::info!(%digest, "a file is written again from its row");
    }
    Ok(())
}

/// Reads a short file whole.
pub(crate) fn read(artifacts: &ArtifactStore, digest: &Digest) -> Result<Vec<u8>, ArtifactError> {
    let mut artifact = artifacts.open_verified(digest)?;
    let mut bytes = Vec::with_capacity(usize::try_from(artifact.size).unwrap_or(0));
    artifact.file.read_to_end(&mut bytes).map_err(ArtifactError::Io)?;
    Ok(bytes)
}

fn list(transaction: &Transaction<'_>) -> Result<Vec<Digest>, Error> {
    let mut select = transaction.prepare_cached("SELECT digest FROM bodies")?;
    let texts = select.query_map([], |row| row.get::<_, String>(0))?;
    texts.map(|text| record::read("bodies", &text?)).collect()
}

fn read_row(transaction: &Transaction<'_>, digest: &Digest) -> Result<Vec<u8>, Error> {
    let select = "SELECT body FROM bodies WHERE digest = ?1";
    Ok(transaction.query_row(select, [digest.to_string()], |row| row.get(0))?)
}
