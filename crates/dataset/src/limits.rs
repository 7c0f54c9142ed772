//! The sizes beyond which a file is refused, so that a hostile or broken one cannot fill the memory.

/// How many columns a table may have.
pub const COLUMNS: usize = 20_000;

/// How many bytes a row of a text file may have, without its delimiters.
pub const ROW_BYTES: usize = 16 << 20;

/// How many bytes one cell may have.
pub const CELL_BYTES: usize = 1 << 20;

/// How many distinct texts a column may have and still be a category.
pub const CATEGORIES: usize = 128;
