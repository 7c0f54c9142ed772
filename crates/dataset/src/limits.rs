//! The sizes beyond which a file is refused, so that a hostile or broken one cannot fill the memory.

/// How many columns a table may have.
pub const COLUMNS: usize = 20_000;

/// How many bytes a row of a text file may have, without its delimiters.
pub const ROW_BYTES: usize = 16 << 20;

/// How many bytes one cell may have.
pub const CELL_BYTES: usize = 1 << 20;

/// How many distinct texts a column may have and still be a category.
pub const CATEGORIES: usize = 128;

/// How many files a folder's dataset may have.
pub const FILES: u64 = 10_000_000;

/// How many entries one folder may have: their names are sorted in memory.
pub const FOLDER_ENTRIES: usize = 2_000_000;

/// How many folders may lie in one another below a class.
pub const FOLDER_DEPTH: usize = 8;

/// How many classes an image folder may have.
pub const CLASSES: usize = 10_000;

/// How many different modalities a medical folder may have.
pub const MODALITIES: usize = 256;

/// How many bytes an image's file may have.
pub const IMAGE_BYTES: u64 = 256 << 20;

/// How many pixels an image may have.
pub const IMAGE_PIXELS: u64 = 1 << 26;

/// How many bytes a volume's voxels may have, after decompression.
pub const VOLUME_BYTES: u64 = 8 << 30;

/// How many bytes may stand before a volume's first voxel: header and extensions.
pub const VOLUME_HEADER_BYTES: u64 = 64 << 20;

/// How many bytes a data loading plan may have.
pub const LOADING_PLAN_BYTES: usize = 1 << 20;
