//! What a folder holds, for its owner.

use std::collections::BTreeMap;

use dataset::{ImageFolder, LeftOut, MedicalFolder, Registered};

use super::progress::size;
use crate::printer::table;

/// The counts of a folder: what it holds, what is left out and why.
pub(super) fn people(folder: &Registered) -> String {
    match folder {
        Registered::Table(_) => String::new(),
        Registered::ImageFolder(folder) => images(folder),
        Registered::MedicalFolder(folder) => subjects(folder),
    }
}

fn images(folder: &ImageFolder) -> String {
    let (least, most) = (folder.width.0.min(folder.height.0), folder.width.1.max(folder.height.1));
    let mut text = format!(
        "  files    {}, {}\n  formats  {}\n  sides    {least} to {most} pixels\n",
        folder.listing.files,
        size(folder.listing.bytes),
        counts(&folder.formats),
    );
    text.push_str(&left_out(&[
        (folder.not_mapped, "images in folders that the loading plan does not name"),
        (folder.ignored, "files that are no images"),
    ]));
    let rows = folder.classes.iter().enumerate().map(|(number, class)| {
        let folders = class.folders.join(", ");
        [number.to_string(), class.name.clone(), class.samples.to_string(), folders]
    });
    text.push('\n');
    text.push_str(&table(["class", "name", "images", "folders"], rows.collect()));
    text
}

fn subjects(folder: &MedicalFolder) -> String {
    let mut text = format!(
        "  files    {}, {}\n  folders  {} of subjects\n",
        folder.listing.files,
        size(folder.listing.bytes),
        folder.subjects,
    );
    if !folder.options.modalities.is_empty() {
        text.push_str(&format!("  needed   {}\n", folder.options.modalities.join(", ")));
    }
    if let Some(demographics) = &folder.demographics {
        let (path, rows) = (demographics.path.display(), demographics.registration.rows);
        text.push_str(&format!("  table    {path}, {rows} rows\n"));
    }
    let LeftOut { several_images, without_modality, without_demographics, .. } = folder.left_out;
    text.push_str(&left_out(&[
        (without_modality, "subjects without a modality that is needed"),
        (several_images, "subjects with several volumes of one modality"),
        (without_demographics, "subjects without demographics"),
        (folder.not_mapped, "volumes in folders that the loading plan does not name"),
        (folder.ignored, "files that are no volumes"),
    ]));
    let rows = folder.modalities.iter().map(|modality| {
        [
            modality.name.clone(),
            modality.subjects.to_string(),
            counts(&modality.shapes),
            counts(&modality.types),
            modality.folders.join(", "),
        ]
    });
    text.push('\n');
    text.push_str(&table(["modality", "subjects", "shapes", "voxels", "folders"], rows.collect()));
    text
}

/// What is counted and not used; nothing where there is none.
fn left_out(reasons: &[(u64, &str)]) -> String {
    let lines = reasons.iter().filter(|(count, _)| *count > 0);
    lines.map(|(count, reason)| format!("  left out {count}: {reason}\n")).collect()
}

/// One text alone, or each with its count.
fn counts(counts: &BTreeMap<String, u64>) -> String {
    match counts.len() {
        1 => counts.keys().cloned().collect(),
        _ => {
            let each = counts.iter().map(|(text, count)| format!("{text} ({count})"));
            each.collect::<Vec<_>>().join("; ")
        }
    }
}
