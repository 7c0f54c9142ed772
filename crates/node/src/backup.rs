//! A node's backup: one file with everything that cannot be made again, and a digest of all of it.
//!
//! The file begins with its format's name, the length of its table of contents as a 64-bit integer, and that table as
//! JSON; the files follow in its order, and 32 bytes at the end are SHA-256 over all before.

mod closing;
mod restore;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use protocol::{Digest, Digester, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use store::Transaction;

use crate::audit::{self, Expectation, InspectionError};
use crate::folder::Folder;
use crate::registry::{self, restores};
use crate::site::Site;

pub use restore::{AuditLog, Error as RestoreError, Restored, RestoredPolicy, restore};

/// A backup as it lies in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The digest at the end of the file.
    pub digest: Digest,
    /// The file's bytes.
    pub bytes: u64,
    /// What is in it.
    pub contents: Contents,
}

/// The table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Whose backup it is.
    pub node: NodeId,
    /// The program that made it.
    pub software: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// How often the node had been restored by then.
    pub epoch: u64,
    /// The last record of the audit log before the database was copied.
    pub head: Option<Digest>,
    /// The files, in their order.
    pub files: Vec<Contained>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contained {
    /// Where it lies in the node's folder.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be copied.
    #[error("the database cannot be copied")]
    Database(#[from] registry::Error),
    /// The audit log is not what the node wrote.
    #[error("the audit log cannot be copied")]
    Audit(#[from] InspectionError),
    /// A file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// Copies everything that cannot be made again into a file of this user's alone; what is there already is refused.
pub(crate) fn create(site: &Site, to: &Path) -> Result<Backup, Error> {
    // The log, its key and the grants belong together.
    let _alone = site.key_work.lock().unwrap_or_else(PoisonError::into_inner);
    let copy = site.folder.scratch().join("backup.sqlite");
    let made = gather(site, &copy).and_then(|(contents, sources)| {
        let written = write(&contents, &sources, to);
        written.map_err(|source| Error::File { path: to.to_owned(), source })
    });
    drop(fs::remove_file(&copy));
    made
}

/// Copies a backup to where it is wanted, under a sibling's name first.
pub(crate) fn take(from: &Path, to: &Path) -> io::Result<()> {
    let Some(name) = to.file_name() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut sibling = name.to_os_string();
    sibling.push(format!(".{}.temporary", std::process::id()));
    let sibling = to.with_file_name(sibling);
    let copy = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&sibling)?;
        io::copy(&mut File::open(from)?, &mut file)?;
        file.sync_all()?;
        fs::rename(&sibling, to)?;
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    let copied = copy();
    if copied.is_err() {
        // The first error is the one to report.
        drop(fs::remove_file(&sibling));
    }
    copied
}

/// Where a contained file's bytes come from.
enum Source {
    Bytes(Vec<u8>),
    File(PathBuf),
}

fn gather(site: &Site, copy: &Path) -> Result<(Contents, Vec<Source>), Error> {
    // The head is looked up first, so that what ran after the database was copied has its record after the head.
    let (head, made_at) = (head(&site.folder)?, site.clock.now());
    drop(fs::remove_file(copy));
    site.database.copy_to(copy).map_err(registry::Error::from)?;
    let epoch = |transaction: &Transaction<'_>| -> Result<u64, registry::Error> {
        Ok(restores::latest(transaction)?.map_or(0, |restore| restore.epoch))
    };
    let epoch = site.database.read_blocking(epoch)?;
    let mut named = vec![("node.sqlite".to_owned(), Source::File(copy.to_owned()))];
    if let Some(log) = audit_log(&site.folder)? {
        named.push(("audit/log".to_owned(), Source::Bytes(log)));
    }
    for (name, path) in plain_files(&site.folder) {
        named.push((name, Source::File(path)));
    }
    let (mut files, mut sources) = (Vec::new(), Vec::new());
    for (name, source) in named {
        let bytes = source
            .length()
            .map_err(|error| Error::File { path: site.folder.root().join(&name), source: error })?;
        files.push(Contained { name, bytes });
        sources.push(source);
    }
    let (node, software) = (site.config.name.clone(), crate::link::SOFTWARE.to_owned());
    Ok((Contents { node, software, made_at, epoch, head, files }, sources))
}

/// The last record of a node's log, which is verified.
fn head(folder: &Folder) -> Result<Option<Digest>, Error> {
    match audit::verify_own(folder, Expectation::default()) {
        Ok(verified) => Ok(Some(verified.head)),
        Err(InspectionError::Absent) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn audit_log(folder: &Folder) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    match audit::open(folder) {
        Ok(mut source) => source
            .read_to_end(&mut bytes)
            .map_err(|source| Error::File { path: folder.audit_log(), source })?,
        Err(InspectionError::Absent) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(bytes))
}

/// The files that are copied as they are: configuration, policy, the key, and the node's identity.
fn plain_files(folder: &Folder) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = [
        ("node.toml", folder.configuration()),
        ("policy.toml", folder.policy()),
        ("audit/key", folder.audit_key()),
        ("audit/key.next", folder.audit_key_next()),
    ]
    .map(|(name, path)| (name.to_owned(), path))
    .into();
    let identity = folder.root().join("identity");
    let names = fs::read_dir(&identity).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let named = names.into_iter().map(|name| (format!("identity/{name}"), identity.join(name)));
    found.extend(named);
    found.retain(|(name, path)| is_known(name) && path.is_file());
    found
}

/// Whether a backup may hold a file of this name.
fn is_known(name: &str) -> bool {
    let is_plain = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
    };
    let audited = ["audit/log", "audit/key", "audit/key.next"];
    matches!(name, "node.toml" | "policy.toml" | "node.sqlite")
        || audited.contains(&name)
        || name.strip_prefix("identity/").is_some_and(is_plain)
}

impl Source {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
            Self::File(path) => Box::new(File::open(path)?),
        })
    }

    fn length(&self) -> io::Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => Ok(fs::metadata(path)?.len()),
        }
    }
}

fn write(contents: &Contents, sources: &[Source], to: &Path) -> io::Result<Backup> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let written = write_into(contents, sources, &file);
    if written.is_err() {
        // The first error is the one to report.
        drop(fs::remove_file(to));
    }
    written
}

fn write_into(contents: &Contents, sources: &[Source], file: &File) -> io::Result<Backup> {
    let inner = io::BufWriter::new(file);
    let mut sum = Sum { digester: Digester::new(), bytes: 0, inner };
    let table = serde_json::to_vec(contents)?;
    sum.write_all(MAGIC)?;
    sum.write_all(&(table.len() as u64).to_le_bytes())?;
    sum.write_all(&table)?;
    for (contained, source) in contents.files.iter().zip(sources) {
        let copied = io::copy(&mut source.open()?.take(contained.bytes), &mut sum)?;
        if copied != contained.bytes {
            return Err(io::Error::other("a file became shorter while it was copied"));
        }
    }
    let Sum { digester, bytes, mut inner } = sum;
    let digest = digester.finish();
    inner.write_all(digest.as_bytes())?;
    inner.flush()?;
    file.sync_all()?;
    let bytes = bytes + digest.as_bytes().len() as u64;
    Ok(Backup { digest, bytes, contents: contents.clone() })
}

/// Writes and digests at once.
struct Sum<W> {
    digester: Digester,
    bytes: u64,
    inner: W,
}

impl<W: Write> Write for Sum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digester.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a backup's table of contents and checks its digest; gives where the first contained file begins.
fn check(file: &mut File) -> Result<(Backup, u64), Misread> {
    let mut magic = Vec::new();
    Read::by_ref(file).take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic != MAGIC {
        return Err(Misread::Other);
    }
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let start = [MAGIC, &length].concat();
    let length = u64::from_le_bytes(length);
    if length > LARGEST_TABLE {
        return Err(Misread::Damaged);
    }
    let mut table = Vec::new();
    Read::by_ref(file).take(length).read_to_end(&mut table)?;
    let contents: Contents = serde_json::from_slice(&table).map_err(|_| Misread::Damaged)?;
    let mut sum = Sum { digester: Digester::new(), bytes: 0, inner: io::sink() };
    sum.write_all(&start)?;
    sum.write_all(&table)?;
    let due: u64 = contents.files.iter().map(|file| file.bytes).sum();
    let copied = io::copy(&mut Read::by_ref(file).take(due), &mut sum)?;
    let mut last = Vec::new();
    Read::by_ref(file).take(LARGEST_TABLE).read_to_end(&mut last)?;
    let (bytes, digest) = (sum.bytes + last.len() as u64, sum.digester.finish());
    let is_known = contents.files.iter().all(|file| is_known(&file.name));
    if copied != due || last != *digest.as_bytes() || !is_known {
        return Err(Misread::Damaged);
    }
    Ok((Backup { digest, bytes, contents }, (MAGIC.len() + 8) as u64 + length))
}

/// Why bytes are no backup.
enum Misread {
    Unreadable(io::Error),
    Other,
    Damaged,
}

impl From<io::Error> for Misread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Unreadable(error),
        }
    }
}

const MAGIC: &[u8] = b"wardround-backup/1\n";
/// The most bytes of a table of contents; more is damage.
const LARGEST_TABLE: u64 = 1 << 20;
