//! The node's folder and who may enter it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

use super::{Area, Finding};
use crate::folder::Folder;

/// Looks at the folder, and says whether it may be opened.
pub(super) fn examine(folder: &Folder) -> (Vec<Finding>, bool) {
    let root = folder.root();
    let metadata = match root.metadata() {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return refused(root, "is no folder", INIT),
        Err(error) => return refused(root, &format!("cannot be entered: {error}"), INIT),
    };
    if !folder.configuration().exists() {
        return refused(root, "is no node's: it has no node.toml", INIT);
    }
    if let Some(finding) = strange(root, &metadata) {
        return (vec![finding], false);
    }
    let mode = metadata.permissions().mode() & 0o777;
    let finding = if mode == 0o700 {
        Area::Folder.good(format!("{} is its owner's alone", root.display()))
    } else if mode == 0o750 {
        let group = metadata.gid();
        Area::Folder.good(format!("{} is its owner's and group {group}'s", root.display()))
    } else {
        Area::Folder.wrong(
            format!("{} has mode {mode:03o}, and should be its owner's alone", root.display()),
            format!("`chmod 700 {}`, as the node does when it starts", root.display()),
        )
    };
    (vec![finding], true)
}

fn refused(root: &Path, fact: &str, remedy: &str) -> (Vec<Finding>, bool) {
    (vec![Area::Folder.wrong(format!("{} {fact}", root.display()), remedy)], false)
}

/// What belongs to another user than the one who asks. To open it would mix both users' files.
fn strange(root: &Path, metadata: &Metadata) -> Option<Finding> {
    let own = geteuid().as_raw();
    if metadata.uid() != own {
        let fact = format!("{} belongs to user {}", root.display(), metadata.uid());
        let remedy = format!("ask as that user; this is user {own}");
        return Some(Area::Folder.wrong(fact, remedy));
    }
    let others = match others(root, own) {
        Ok(others) => others,
        Err(error) => {
            let fact = format!("{} cannot be listed: {error}", root.display());
            return Some(Area::Folder.wrong(fact, "let its owner read and write it"));
        }
    };
    if others.is_empty() {
        return None;
    }
    let fact = format!("{} holds files of another user: {}", root.display(), others.join(", "));
    let remedy = format!("`chown -R {own} {}`", root.display());
    Some(Area::Folder.wrong(fact, remedy))
}

fn others(root: &Path, own: u32) -> io::Result<Vec<String>> {
    let mut others = Vec::new();
    for entry in root.read_dir()? {
        let entry = entry?;
        if entry.metadata()?.uid() != own {
            others.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    others.sort_unstable();
    Ok(others)
}

const INIT: &str = "make a folder a node's with `wardround node init`, or name another with --dir";
