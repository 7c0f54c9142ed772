//! Datasets that nobody has: made up after what a node shows of one, to try a plan on.
//!
//! They have the columns, classes, modalities and sizes of the dataset, and nothing of its content.

mod images;
mod table;
mod volumes;

use std::io;
use std::path::{Path, PathBuf};

use dataset::format::Header;
use dataset::{Description, Options};

pub use images::{Colours, MadeUpImages};
pub use table::MadeUpColumn;
pub use volumes::{MadeUpModality, MadeUpVolumes};

/// A dataset that is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MadeUp {
    /// A table with these columns.
    Table(Vec<MadeUpColumn>),
    /// A folder of images.
    Images(MadeUpImages),
    /// A folder of subjects with volumes.
    Volumes(MadeUpVolumes),
}

impl MadeUp {
    /// Writes the dataset into a folder; gives where it lies, and what its owner would state.
    ///
    /// The same dataset is always made up in the same way.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<(PathBuf, Description)> {
        match self {
            Self::Table(columns) => {
                let path = folder.join("made-up.csv");
                std::fs::write(&path, table::rows(columns, table::ROWS))?;
                let table = Options { header: Some(Header::Present), ..Options::default() };
                Ok((path, Description { table, ..Description::default() }))
            }
            Self::Images(images) => images.write(&folder.join("made-up")),
            Self::Volumes(volumes) => volumes.write(&folder.join("made-up")),
        }
    }
}

/// Some numbers below 17 in an order that depends on where they are wanted: a small quadratic congruence.
fn drawn(row: usize, place: usize) -> usize {
    (row * 7 + place * 3 + row * row * (place + 1)) % 17
}

/// How many samples of this many bytes are made up: fewer of larger ones, and some in any case.
fn samples(bytes: u64) -> usize {
    usize::try_from(MOST_BYTES / bytes.max(1)).unwrap_or(MOST_SAMPLES).clamp(8, MOST_SAMPLES)
}

/// The samples of a made-up folder.
const MOST_SAMPLES: usize = 48;

/// The bytes of a made-up folder, as far as 8 samples leave the choice: 256 MiB.
const MOST_BYTES: u64 = 256 << 20;
