//! What a plan in a sandbox may read of a dataset: a table's granted view, and the manifest of a folder.
//!
//! Both are written here, with the data loading plan applied, so that nothing on the other side needs to know what was
//! withheld or how a site calls its columns and folders.
//!
//! What is written counts only after the function has returned well: until then the dataset may turn out to be another
//! than the registered one.

mod folder;
mod table;

pub use folder::{FolderGrant, GrantedFolder, folder_manifest};
pub use table::{GrantedColumn, GrantedTable, TableGrant, table_view};
