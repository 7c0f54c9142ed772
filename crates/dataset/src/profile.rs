//! What is known of a column after its cells went by, in bounded memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use protocol::ColumnType;

use crate::cell::Cell;
use crate::error::{Error, Place};
use crate::limits::CATEGORIES;

/// Counts the cells of one column by what they are.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    cells: u64,
    missing: u64,
    booleans: u64,
    integers: u64,
    numbers: u64,
    out_of_range: Option<Place>,
    texts: Texts,
}

impl Profile {
    /// Counts a cell of a text file; `raw` is its text.
    pub(crate) fn observe(&mut self, cell: Cell<'_>, raw: &[u8], place: Place) {
        self.cells += 1;
        match cell {
            Cell::Missing => self.missing += 1,
            Cell::Boolean(_) => self.booleans += 1,
            Cell::Integer(_) => self.integers += 1,
            Cell::Number(_) => self.numbers += 1,
            Cell::OutOfRange => {
                self.numbers += 1;
                self.out_of_range.get_or_insert(place);
            }
            Cell::Text(_) => {}
        }
        if cell != Cell::Missing {
            self.texts.insert(raw);
        }
    }

    /// How many cells were missing.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// Concludes the column's type: the narrowest that all its cells have. A column without a cell is text.
    ///
    /// A category has at most [`CATEGORIES`] distinct texts, each twice on average.
    pub(crate) fn column_type(&self, column: &str) -> Result<ColumnType, Error> {
        let present = self.cells - self.missing;
        if present == 0 {
            return Ok(ColumnType::Text);
        }
        if self.integers == present {
            return Ok(ColumnType::Integer);
        }
        if self.integers + self.numbers == present {
            return match self.out_of_range {
                Some(place) => Err(Error::OutOfRange { place, column: column.to_owned() }),
                None => Ok(ColumnType::Number),
            };
        }
        if self.booleans == present {
            return Ok(ColumnType::Boolean);
        }
        Ok(self.texts.column_type(present))
    }

    /// How many cells are no numbers in a column where most are: a sign of a typing error or of another marker
    /// for missing values.
    pub(crate) fn strays(&self) -> u64 {
        let numbers = self.integers + self.numbers;
        let others = self.cells - self.missing - numbers;
        if others < numbers { others } else { 0 }
    }
}

/// The hashes of the distinct texts of a column, as long as they are few.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    hashes: HashSet<u64>,
    many: bool,
}

impl Texts {
    /// Counts a text.
    pub(crate) fn insert(&mut self, text: &[u8]) {
        if self.many {
            return;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.hashes.insert(hasher.finish());
        if self.hashes.len() > CATEGORIES {
            self.many = true;
            self.hashes = HashSet::new();
        }
    }

    /// Tells categories from other texts.
    pub(crate) fn column_type(&self, present: u64) -> ColumnType {
        let distinct = self.hashes.len() as u64;
        if self.many || 2 * distinct > present { ColumnType::Text } else { ColumnType::Category }
    }
}
