//! Image folders: one folder for each class, with PNG and JPEG files in it and in folders below.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use protocol::Digest;
use serde::{Deserialize, Serialize};

use crate::folder::{self, FileEntry, Inventory, Listing, Root};
use crate::limits::{CLASSES, FOLDER_DEPTH, IMAGE_BYTES};
use crate::{Error, Interrupt, LoadingPlan, Watch, image};

/// An image folder as it was when its owner added it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFolder {
    /// The digest of all images' names and bytes, in whatever folder.
    pub digest: Digest,
    /// What the images look like from outside.
    pub listing: Listing,
    /// The images of all classes.
    pub samples: u64,
    /// The classes in the order of their numbers.
    pub classes: Vec<Class>,
    /// Images in folders that the loading plan does not name.
    pub not_mapped: u64,
    /// Files that are no images by their names.
    pub ignored: u64,
    /// How many images have which format and colours: `jpeg, rgb`.
    pub formats: BTreeMap<String, u64>,
    /// The smallest and the largest width, in pixels.
    pub width: (u32, u32),
    /// The smallest and the largest height, in pixels.
    pub height: (u32, u32),
}

/// A class of an image folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its name in the study.
    pub name: String,
    /// The folders that hold it.
    pub folders: Vec<String>,
    /// Its images.
    pub samples: u64,
}

/// Decodes every image once and describes the folder, one image in memory at a time.
pub(crate) fn register(
    path: &Path,
    plan: Option<&LoadingPlan>,
    watch: &mut Watch<'_>,
) -> Result<ImageFolder, Error> {
    let root = Root::open(path)?;
    let expected = list(&root, watch.interrupt())?;
    watch.expect(expected.files, expected.bytes);
    let mut classes = classes(&root, plan)?;
    let mut survey = Survey::default();
    let mut not_mapped = 0;
    let ignored = for_each(&root, &mut |folder, file| {
        let (image, digest) =
            inspect(&root, file).map_err(|error| folder::of(&file.path, error))?;
        survey.take(&image);
        survey.inventory.take(file, &digest)?;
        match classes.iter_mut().find(|class| class.holds(folder)) {
            Some(class) => class.samples += 1,
            None => not_mapped += 1,
        }
        watch.done(file.size)
    })?;
    let samples = classes.iter().map(|class| class.samples).sum();
    if samples == 0 {
        return Err(Error::NoImages);
    }
    let (listing, digest) = survey.inventory.finish();
    let (width, height) = (survey.width, survey.height);
    let formats = survey.formats;
    Ok(ImageFolder {
        digest,
        listing,
        samples,
        classes,
        not_mapped,
        ignored,
        formats,
        width,
        height,
    })
}

/// Whether there is an image where an image folder has them.
pub(crate) fn looks_like_one(path: &Path) -> Result<bool, Error> {
    let root = Root::open(path)?;
    for class in root.entries("")?.folders {
        if root.entries(&class)?.files.iter().any(is_image) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl ImageFolder {
    /// The number of the class that a folder holds.
    pub(crate) fn class_of(&self, folder: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.holds(folder))
    }
}

impl Class {
    fn holds(&self, folder: &str) -> bool {
        self.folders.iter().any(|known| known == folder)
    }
}

/// Looks at names, sizes and times.
pub(crate) fn list(root: &Root, interrupt: &mut Interrupt<'_>) -> Result<Listing, Error> {
    let mut inventory = Inventory::default();
    for_each(root, &mut |_, file| {
        interrupt.look()?;
        inventory.list(file)
    })?;
    Ok(inventory.listing())
}

/// Makes the digest of the content again, without decoding.
pub(crate) fn digest(root: &Root, interrupt: &mut Interrupt<'_>) -> Result<Digest, Error> {
    let mut inventory = Inventory::default();
    for_each(root, &mut |_, file| {
        interrupt.look()?;
        let bytes = read(root, file).map_err(|error| folder::of(&file.path, error))?;
        inventory.take(file, &Digest::of(&bytes))
    })?;
    Ok(inventory.finish().1)
}

/// Visits every image with the name of the class's folder: folders by name, in each the files first, all bytewise.
/// Gives the number of files that are no images.
pub(crate) fn for_each(
    root: &Root,
    visit: &mut dyn FnMut(&str, &FileEntry) -> Result<(), Error>,
) -> Result<u64, Error> {
    let top = root.entries("")?;
    let mut ignored = top.files.len() as u64;
    for class in top.folders {
        ignored += below(root, &class, &class, FOLDER_DEPTH, visit)?;
    }
    Ok(ignored)
}

fn below(
    root: &Root,
    class: &str,
    path: &str,
    depth: usize,
    visit: &mut dyn FnMut(&str, &FileEntry) -> Result<(), Error>,
) -> Result<u64, Error> {
    let Some(depth) = depth.checked_sub(1) else {
        let limit = FOLDER_DEPTH as u64;
        return Err(folder::of(path, Error::FolderLimit { limit, what: "folders in one another" }));
    };
    let entries = root.entries(path)?;
    let mut ignored = 0;
    for file in &entries.files {
        if is_image(file) {
            visit(class, file)?;
        } else {
            ignored += 1;
        }
    }
    for name in &entries.folders {
        ignored += below(root, class, &folder::join(path, name), depth, visit)?;
    }
    Ok(ignored)
}

/// The classes: those of the plan in its order, else one for each folder in bytewise order.
fn classes(root: &Root, plan: Option<&LoadingPlan>) -> Result<Vec<Class>, Error> {
    let planned = plan.map(LoadingPlan::class_folders).unwrap_or_default();
    let classes: Vec<Class> = if planned.is_empty() {
        let folders = root.entries("")?.folders.into_iter();
        folders.map(|name| Class { folders: vec![name.clone()], name, samples: 0 }).collect()
    } else {
        let named = planned.iter().map(|part| (part.name.clone(), part.folders.clone()));
        named.map(|(name, folders)| Class { name, folders, samples: 0 }).collect()
    };
    if classes.len() > CLASSES {
        return Err(Error::FolderLimit { limit: CLASSES as u64, what: "classes" });
    }
    Ok(classes)
}

fn is_image(file: &FileEntry) -> bool {
    file.ends_with(&[".png", ".jpg", ".jpeg"])
}

fn inspect(root: &Root, file: &FileEntry) -> Result<(image::Image, Digest), Error> {
    let bytes = read(root, file)?;
    Ok((image::inspect(&bytes)?, Digest::of(&bytes)))
}

fn read(root: &Root, file: &FileEntry) -> Result<Vec<u8>, Error> {
    if file.size > IMAGE_BYTES {
        return Err(Error::FolderLimit { limit: IMAGE_BYTES, what: "bytes in an image" });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0));
    root.file(&file.path)?.take(file.size + 1).read_to_end(&mut bytes).map_err(Error::Read)?;
    if bytes.len() as u64 == file.size { Ok(bytes) } else { Err(Error::Unsteady) }
}

/// What is known of images after they went by.
#[derive(Default)]
struct Survey {
    inventory: Inventory,
    formats: BTreeMap<String, u64>,
    width: (u32, u32),
    height: (u32, u32),
}

impl Survey {
    fn take(&mut self, image: &image::Image) {
        let format = match image.format {
            image::Format::Png => "png",
            image::Format::Jpeg => "jpeg",
        };
        *self.formats.entry(format!("{format}, {}", image.pixel())).or_default() += 1;
        widen(&mut self.width, image.width);
        widen(&mut self.height, image.height);
    }
}

/// A side has at least one pixel, so nothing was taken while the largest is 0.
fn widen(range: &mut (u32, u32), side: u32) {
    *range = match *range {
        (_, 0) => (side, side),
        (least, most) => (least.min(side), most.max(side)),
    };
}
