//! What a coordinator's folder tells while the coordinator does not run, and where it listens while it does.

use std::path::Path;

use protocol::wire::v1;
use store::{Database, FolderLock, folder_lock, journal};
use transport::Address;

use crate::config::Config;
use crate::record::Error as StorageError;
use crate::{listing, tables};

/// Where to ask about a coordinator.
#[derive(Debug)]
pub enum Whereabouts {
    /// It runs and listens here.
    Running(Address),
    /// It does not run; its folder is held for as long as this value lives.
    Stopped(Stopped),
}

/// The folder of a coordinator that does not run.
#[derive(Debug)]
pub struct Stopped {
    database: Database,
    _lock: FolderLock,
}

/// Why a folder tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] folder_lock::Error),
    /// The database cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A process holds the folder and does not say where it listens.
    #[error("folder {} is in use and does not say on which address", folder.display())]
    Silent {
        /// The folder.
        folder: std::path::PathBuf,
    },
}

/// Finds out whether a folder's coordinator runs.
///
/// # Errors
///
/// Says what of the folder cannot be used.
pub fn find(folder: &Path) -> Result<Whereabouts, Error> {
    let config = Config::new(folder);
    match FolderLock::take(folder) {
        Ok(lock) => {
            let migrations = [journal::MIGRATIONS, tables::MIGRATIONS];
            let database =
                Database::open(&config.database(), &migrations).map_err(StorageError::from)?;
            Ok(Whereabouts::Stopped(Stopped { database, _lock: lock }))
        }
        Err(folder_lock::Error::Held { .. }) => {
            let text = std::fs::read_to_string(config.address_file()).ok();
            let address = text.and_then(|text| text.trim().parse().ok());
            let silent = || Error::Silent { folder: folder.to_owned() };
            address.map(Whereabouts::Running).ok_or_else(silent)
        }
        Err(error) => Err(error.into()),
    }
}

impl Stopped {
    /// Every node that was ever connected; none is now.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Storage`] where the database cannot be read.
    pub async fn nodes(&self) -> Result<Vec<v1::NodeSummary>, Error> {
        let rows = self.database.read(listing::nodes).await?;
        Ok(rows.into_iter().map(listing::NodeRow::summary).collect())
    }
}
