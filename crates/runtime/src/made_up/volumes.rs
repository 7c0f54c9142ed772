//! Subjects with volumes and demographics.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use dataset::format::Header;
use dataset::{Description, Kind, MedicalOptions, Options};

use super::table::{cells, quoted};
use super::{MadeUpColumn, drawn, samples};

/// A folder of subjects that is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUpVolumes {
    /// The modalities.
    pub modalities: Vec<MadeUpModality>,
    /// The demographics' columns, without the one that names subjects; none where there is no table.
    pub demographics: Option<Vec<MadeUpColumn>>,
}

/// A modality of made-up subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUpModality {
    /// Its name.
    pub name: String,
    /// The shapes that its volumes have in turn.
    pub shapes: Vec<Vec<u16>>,
    /// Whether its voxels are measured values; else they are 0 and 1, so that they can be classes.
    pub is_measured: bool,
    /// Whether some subjects have no such volume.
    pub has_missing: bool,
}

impl MadeUpVolumes {
    /// Writes the subjects, and the table that describes them.
    pub(super) fn write(&self, folder: &Path) -> io::Result<(PathBuf, Description)> {
        std::fs::create_dir_all(folder)?;
        let mut table = self.demographics.as_deref().map(|columns| {
            let names = columns.iter().map(|column| quoted(column.name.clone()));
            let names: String = names.map(|name| format!(",{name}")).collect();
            format!("{SUBJECT}{names}\n")
        });
        let bytes: u64 = self.modalities.iter().map(MadeUpModality::largest).sum();
        for subject in 0..samples(bytes) {
            let name = format!("subject-{subject:02}");
            for (place, modality) in self.modalities.iter().enumerate() {
                if !(modality.has_missing && (subject + place) % 5 == 4) {
                    modality.write(&folder.join(&name).join(&modality.name), subject)?;
                }
            }
            if let (Some(table), Some(columns)) = (&mut table, self.demographics.as_deref()) {
                let comma = if columns.is_empty() { "" } else { "," };
                table.push_str(&format!("{name}{comma}{}", cells(columns, subject)));
            }
        }
        let mut medical = MedicalOptions::default();
        if let Some(table) = table {
            std::fs::write(folder.join(DEMOGRAPHICS), table)?;
            medical.demographics = Some(DEMOGRAPHICS.into());
            medical.subject_column = Some(SUBJECT.to_owned());
        }
        let kind = Some(Kind::MedicalFolder);
        let table = Options { header: Some(Header::Present), ..Options::default() };
        Ok((folder.to_owned(), Description { kind, medical, table }))
    }
}

impl MadeUpModality {
    /// The bytes of its largest volume.
    fn largest(&self) -> u64 {
        let sizes = self.shapes.iter().map(|shape| shape.iter().copied().map(u64::from).product());
        sizes.max().unwrap_or(0) * self.voxel_bytes()
    }

    const fn voxel_bytes(&self) -> u64 {
        if self.is_measured { 4 } else { 1 }
    }

    fn write(&self, folder: &Path, subject: usize) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let shape = match self.shapes.get(subject % self.shapes.len().max(1)) {
            Some(shape) => shape.as_slice(),
            None => &USUAL_SHAPE,
        };
        let mut file = BufWriter::new(File::create(folder.join("volume.nii"))?);
        file.write_all(&self.header(shape))?;
        let voxels: u64 = shape.iter().copied().map(u64::from).product();
        for voxel in 0..usize::try_from(voxels).unwrap_or(usize::MAX) {
            let drawn = drawn(voxel + subject, voxel % 11);
            if self.is_measured {
                #[expect(clippy::cast_precision_loss, reason = "it is below 17")]
                file.write_all(&(drawn as f32 / 8.0 - 1.0).to_le_bytes())?;
            } else {
                file.write_all(&[u8::from(drawn % 2 == 1)])?;
            }
        }
        file.flush()
    }

    /// The header of a NIfTI-1 file, and the four bytes that announce no extension.
    fn header(&self, shape: &[u16]) -> [u8; 352] {
        let mut header = [0; 352];
        let mut put = |place: usize, bytes: &[u8]| {
            header[place..place + bytes.len()].copy_from_slice(bytes);
        };
        let (kind, bits): (u16, u16) = if self.is_measured { (16, 32) } else { (2, 8) };
        put(0, &348_u32.to_le_bytes());
        put(40, &u16::try_from(shape.len()).unwrap_or(0).to_le_bytes());
        for (axis, size) in shape.iter().enumerate().take(7) {
            put(42 + 2 * axis, &size.to_le_bytes());
            put(80 + 4 * axis, &1_f32.to_le_bytes());
        }
        put(70, &kind.to_le_bytes());
        put(72, &bits.to_le_bytes());
        put(108, &352_f32.to_le_bytes());
        put(112, &1_f32.to_le_bytes());
        put(344, b"n+1\0");
        header
    }
}

/// The shape of volumes that have no known one.
const USUAL_SHAPE: [u16; 3] = [32, 32, 16];

/// The table beside the subjects.
const DEMOGRAPHICS: &str = "participants.csv";

/// Its column that names them.
const SUBJECT: &str = "subject";
