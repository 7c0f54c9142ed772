//! The manifest of a folder: which of its files are which sample, as JSON.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use crate::folder::Root;
use crate::medical_folder::{self, Layout};
use crate::{
    AttachedPlan, Error, Exclusions, ImageFolder, Interrupt, Kind, LeftOut, Listing, MedicalFolder,
    Registered, image_folder,
};

/// What of a folder is granted.
#[derive(Debug, Clone, Copy)]
pub struct FolderGrant<'a> {
    /// The dataset's folder.
    pub path: &'a Path,
    /// What was registered of it.
    pub registration: &'a Registered,
    /// The data loading plan of the dataset.
    pub loading_plan: Option<&'a AttachedPlan>,
    /// The modalities that every subject must have, by the study's names; without any, those that the owner stated.
    pub modalities: &'a [String],
    /// The patients whom the owner leaves out: subjects, by the names of their folders.
    pub exclusions: &'a Exclusions,
}

/// What was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedFolder {
    /// The samples.
    pub samples: u64,
    /// How many are left out, and why.
    pub left_out: LeftOut,
    /// The class of each sample of an image folder.
    pub labels: Option<Vec<u32>>,
}

/// Writes a folder's manifest, after it has seen that the folder is what was registered.
///
/// Names, sizes and times of all files are compared; where they differ, all bytes are read and their digest decides.
///
/// # Errors
///
/// The folder cannot be read or has changed, a modality is in no subject, or the dataset is a table.
///
/// # Examples
///
/// ```
/// use dataset::granted::{FolderGrant, folder_manifest};
/// use dataset::{Description, Exclusions, Interrupt, Watch, describe};
///
/// # let folder = tempfile::tempdir()?;
/// # let root = folder.path();
/// # for class in ["benign", "malignant"] {
/// #     std::fs::create_dir(root.join(class))?;
/// #     let file = std::fs::File::create(root.join(class).join("1.png"))?;
/// #     let mut encoder = png::Encoder::new(file, 2, 2);
/// #     encoder.set_color(png::ColorType::Grayscale);
/// #     encoder.write_header()?.write_image_data(&[0, 1, 2, 3])?;
/// # }
/// let registered = describe(root, &Description::default(), None, &mut Watch::nobody())?;
/// let grant = FolderGrant {
///     path: root,
///     registration: &registered,
///     loading_plan: None,
///     modalities: &[],
///     exclusions: Exclusions::none(),
/// };
/// let mut manifest = Vec::new();
/// let granted = folder_manifest(&grant, &mut manifest, &mut Interrupt::never())?;
/// assert_eq!((granted.samples, granted.labels), (2, Some(vec![0, 1])));
/// let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
/// assert_eq!(manifest["classes"], serde_json::json!(["benign", "malignant"]));
/// assert_eq!(manifest["samples"][1], serde_json::json!({"path": "malignant/1.png", "class": 1}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn folder_manifest(
    grant: &FolderGrant<'_>,
    output: &mut dyn Write,
    interrupt: &mut Interrupt<'_>,
) -> Result<GrantedFolder, Error> {
    let root = Root::open(grant.path)?;
    let mut samples = Samples { output, written: 0, left_out: LeftOut::default() };
    let labels = match grant.registration {
        Registered::Table(_) => {
            return Err(Error::WrongKind { found: Kind::Table, expected: Kind::ImageFolder });
        }
        Registered::ImageFolder(_) if !grant.exclusions.is_empty() => {
            return Err(Error::NoPatients(Kind::ImageFolder));
        }
        Registered::ImageFolder(folder) => {
            let listing = image_folder::list(&root, interrupt)?;
            let digest = |interrupt: &mut Interrupt<'_>| image_folder::digest(&root, interrupt);
            unchanged(listing, (folder.listing, folder.digest), digest, interrupt)?;
            Some(images(&root, folder, &mut samples, interrupt)?)
        }
        Registered::MedicalFolder(folder) => {
            let listing = medical_folder::list(&root, interrupt)?;
            let demographics = folder.demographics.as_ref();
            let digest = |interrupt: &mut Interrupt<'_>| {
                medical_folder::digest(&root, demographics, interrupt)
            };
            unchanged(listing, (folder.listing, folder.digest), digest, interrupt)?;
            subjects(&root, grant, folder, &mut samples, interrupt)?;
            None
        }
    };
    let left_out = samples.end()?;
    Ok(GrantedFolder { samples: samples.written, left_out, labels })
}

/// Refuses a folder with other content than was registered.
fn unchanged(
    listing: Listing,
    registered: (Listing, protocol::Digest),
    digest: impl FnOnce(&mut Interrupt<'_>) -> Result<protocol::Digest, Error>,
    interrupt: &mut Interrupt<'_>,
) -> Result<(), Error> {
    if listing == registered.0 {
        return Ok(());
    }
    let (files, bytes) = (listing.files, listing.bytes);
    if (files, bytes) != (registered.0.files, registered.0.bytes)
        || digest(interrupt)? != registered.1
    {
        return Err(Error::Changed);
    }
    Ok(())
}

fn images(
    root: &Root,
    folder: &ImageFolder,
    samples: &mut Samples<'_>,
    interrupt: &mut Interrupt<'_>,
) -> Result<Vec<u32>, Error> {
    let classes: Vec<&str> = folder.classes.iter().map(|class| class.name.as_str()).collect();
    samples.begin("image_folder", &[("classes", json!(classes))])?;
    let mut labels = Vec::new();
    image_folder::for_each(root, &mut |class, file| {
        interrupt.look()?;
        let Some(class) = folder.class_of(class) else {
            samples.left_out.not_mapped += 1;
            return Ok(());
        };
        samples.write(&json!({"path": file.path, "class": class}))?;
        labels.push(u32::try_from(class).expect("classes are counted before"));
        Ok(())
    })?;
    Ok(labels)
}

fn subjects(
    root: &Root,
    grant: &FolderGrant<'_>,
    folder: &MedicalFolder,
    samples: &mut Samples<'_>,
    interrupt: &mut Interrupt<'_>,
) -> Result<(), Error> {
    let known: Vec<&String> = folder.modalities.iter().map(|modality| &modality.name).collect();
    if let Some(unknown) = grant.modalities.iter().find(|name| !known.contains(name)) {
        return Err(Error::UnknownModality(unknown.clone()));
    }
    let required =
        if grant.modalities.is_empty() { &folder.options.modalities } else { grant.modalities };
    let layout = Layout::new(grant.loading_plan.map(|attached| &attached.plan), required);
    let view = match &folder.demographics {
        Some(demographics) => demographics.view(grant.loading_plan)?,
        None => Vec::new(),
    };
    let rows = match &folder.demographics {
        Some(demographics) => {
            let path = root.resolve(&demographics.path);
            Some(demographics.rows(&path, &view, interrupt)?)
        }
        None => None,
    };
    let columns: Vec<Json> = view
        .iter()
        .map(|column| json!({"name": column.name, "type": column.column_type.as_str()}))
        .collect();
    let named: Vec<&str> = match grant.modalities {
        [] => known.iter().map(|name| name.as_str()).collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    let head = [("modalities", json!(named)), ("columns", json!(columns))];
    samples.begin("medical_folder", &head)?;
    medical_folder::for_each(root, &mut |subject| {
        interrupt.look()?;
        if grant.exclusions.names(&subject.name) {
            samples.left_out.excluded += 1;
            return Ok(());
        }
        let row = rows.as_ref().map(|rows| rows.get(&subject.name));
        let is_known = row.is_none_or(|row| row.is_some());
        if let Some(reason) = layout.judge(subject, is_known) {
            samples.left_out.add(reason);
            return Ok(());
        }
        let images = subject.images(&layout).into_iter();
        let images = images.filter(|(name, _)| named.contains(&name.as_str()));
        let images: Map<String, Json> =
            images.map(|(name, file)| (name, Json::String(file.path.clone()))).collect();
        samples.write(&match row.flatten() {
            Some(cells) => json!({"images": images, "demographics": cells}),
            None => json!({"images": images}),
        })
    })?;
    Ok(())
}

/// Writes a manifest piece by piece: a folder may have millions of samples.
struct Samples<'a> {
    output: &'a mut dyn Write,
    written: u64,
    left_out: LeftOut,
}

impl Samples<'_> {
    fn begin(&mut self, kind: &str, head: &[(&str, Json)]) -> Result<(), Error> {
        let mut text = format!("{{\"format\":\"{FORMAT}\",\"kind\":\"{kind}\",\n");
        for (key, value) in head {
            text.push_str(&format!("\"{key}\":{value},\n"));
        }
        text.push_str("\"samples\":[");
        self.put(&text)
    }

    /// Writes the next sample.
    fn write(&mut self, sample: &Json) -> Result<(), Error> {
        let comma = if self.written == 0 { "" } else { "," };
        self.written += 1;
        self.put(&format!("{comma}\n{sample}"))
    }

    fn end(&mut self) -> Result<LeftOut, Error> {
        let left_out =
            serde_json::to_string(&self.left_out).expect("counts can be written as JSON");
        self.put(&format!("],\n\"left_out\":{left_out}}}\n"))?;
        self.output.flush().map_err(Error::Write)?;
        Ok(self.left_out)
    }

    fn put(&mut self, text: &str) -> Result<(), Error> {
        self.output.write_all(text.as_bytes()).map_err(Error::Write)
    }
}

const FORMAT: &str = "wardround-manifest/1";
