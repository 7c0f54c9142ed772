//! The granted view of a dataset: what a plan may read, written for it by the node.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use dataset::granted::{FolderGrant, TableGrant, folder_manifest, table_view};
use dataset::{Interrupt, Registered};
use protocol::Code;

use crate::{DataGrant, Failure};

/// A written view.
pub(super) struct GrantedView {
    /// `table`, `image_folder` or `medical_folder`.
    pub(super) kind: &'static str,
    /// The table's copy, or the dataset's own folder.
    pub(super) path: PathBuf,
    /// The file that lists a folder's samples.
    pub(super) manifest: Option<PathBuf>,
    /// The columns of a table, in the view's order.
    pub(super) columns: Vec<String>,
    /// Rows, images or subjects.
    pub(super) rows: usize,
    /// Those that the owner leaves out.
    pub(super) excluded: u64,
    /// Whose the rows are, where the dataset names patients.
    pub(super) groups: Option<Vec<u32>>,
    /// The class of each sample, where the dataset knows it.
    pub(super) labels: Option<Vec<u32>>,
}

impl GrantedView {
    /// Writes the view into the folder that the plan may read.
    pub(super) fn write(
        folder: &Path,
        columns: &[String],
        grant: &DataGrant<'_>,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Self, Failure> {
        match grant.registration {
            Registered::Table(registration) => {
                let path = folder.join(TABLE);
                let mut file = create(&path)?;
                let table = TableGrant {
                    path: grant.path,
                    registration,
                    loading_plan: grant.loading_plan,
                    columns,
                    exclusions: grant.exclusions,
                    label: None,
                };
                let view = table_view(&table, &mut file, interrupt)?;
                finish(file)?;
                Ok(Self {
                    kind: "table",
                    path,
                    manifest: None,
                    columns: view.columns.into_iter().map(|column| column.name).collect(),
                    rows: count(view.rows),
                    excluded: view.excluded,
                    groups: view.groups,
                    labels: view.labels,
                })
            }
            Registered::ImageFolder(_) => Self::folder("image_folder", folder, grant, interrupt),
            Registered::MedicalFolder(_) => {
                Self::folder("medical_folder", folder, grant, interrupt)
            }
        }
    }

    fn folder(
        kind: &'static str,
        folder: &Path,
        grant: &DataGrant<'_>,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Self, Failure> {
        let manifest = folder.join(MANIFEST);
        let mut file = create(&manifest)?;
        let granted = FolderGrant {
            path: grant.path,
            registration: grant.registration,
            loading_plan: grant.loading_plan,
            modalities: &[],
            exclusions: grant.exclusions,
        };
        let view = folder_manifest(&granted, &mut file, interrupt)?;
        finish(file)?;
        Ok(Self {
            kind,
            path: grant.path.to_owned(),
            manifest: Some(manifest),
            columns: Vec::new(),
            rows: count(view.samples),
            excluded: view.left_out.excluded,
            groups: None,
            labels: view.labels,
        })
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    File::create(path).map(BufWriter::new).map_err(|error| unwritten(&error))
}

fn finish(file: BufWriter<File>) -> Result<(), Failure> {
    file.into_inner().map(drop).map_err(|error| unwritten(error.error()))
}

fn unwritten(error: &std::io::Error) -> Failure {
    let local = format!("the granted view of the dataset cannot be written: {error}");
    Failure::new(Code::DataUnavailable, local)
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// The granted view of a table.
const TABLE: &str = "table.csv";

/// The list of a folder's samples.
const MANIFEST: &str = "manifest.json";
