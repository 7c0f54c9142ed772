//! The owner's socket: one request in a line, one answer in a line, as JSON. Lines that say how far a long command is
//! may stand before the answer. Whoever closes the connection ends what is being read for it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dataset::Progress;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Error, Office, Onlooker, Request};
use crate::audit::Actor;
use crate::folder::Folder;

/// The daemon's end.
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    office: Arc<Office>,
}

/// What goes back over the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// How far a long command is; the answer follows.
    Progress(Progress),
    Ok(Value),
    Error {
        message: String,
        hint: Option<String>,
    },
}

impl Listener {
    /// Opens the socket in the folder, for this user and the administrators only, in place of one that a dead process left.
    pub(crate) fn open(
        folder: &Folder,
        administrators: Option<&str>,
        office: Office,
    ) -> io::Result<Self> {
        let path = folder.socket();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let short = ShortPath::of(folder)?;
        let listener = UnixListener::bind(short.path())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        if let Some(group) = administrators {
            admit(folder, group_number(group)?)?;
        }
        Ok(Self { listener, path, office: Arc::new(office) })
    }

    /// Serves until the shutdown.
    pub(crate) async fn serve(self, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < CONNECTIONS => {
                        connections.spawn(converse(stream, Arc::clone(&self.office)));
                    }
                    Ok(_) => tracing::warn!("too many commands at once"),
                    Err(error) => {
                        tracing::warn!(%error, "a command could not connect");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        // What a command has begun may end; the folder is still ours.
        let ending = async { while connections.join_next().await.is_some() {} };
        drop(tokio::time::timeout(GRACE, ending).await);
        drop(std::fs::remove_file(&self.path));
    }
}

/// Lets a group enter the folder, read its configuration and use the socket. Who each member is, the socket tells.
fn admit(folder: &Folder, group: u32) -> io::Result<()> {
    for (path, mode) in [
        (folder.configuration(), 0o640),
        (folder.socket(), 0o660),
        (folder.root().to_owned(), 0o750),
    ] {
        std::os::unix::fs::chown(&path, None, Some(group))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// The number of a group of this machine's own list.
fn group_number(group: &str) -> io::Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let list = std::fs::read_to_string("/etc/group")?;
    let found = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    let unknown = || io::Error::other(format!("this machine has no group \"{group}\""));
    found.ok_or_else(unknown)
}

/// Whether somebody listens.
pub(crate) async fn is_open(folder: &Folder) -> bool {
    connect(folder).await.is_ok()
}

/// Sends a request to the daemon and waits for its answer.
pub(crate) async fn ask(
    folder: &Folder,
    request: &Request,
    tell: impl Fn(Progress),
) -> Result<Value, Error> {
    let line = serde_json::to_string(request).map_err(Error::Unreadable)?;
    let mut stream = send(folder, line).await.map_err(Error::Unreachable)?;
    loop {
        let answer = next_line(&mut stream).await.map_err(Error::Unreachable)?;
        match serde_json::from_str(&answer).map_err(Error::Unreadable)? {
            Answer::Progress(progress) => tell(progress),
            Answer::Ok(value) => return Ok(value),
            Answer::Error { message, hint } => return Err(Error::Refused { message, hint }),
        }
    }
}

async fn send(folder: &Folder, mut line: String) -> io::Result<BufReader<UnixStream>> {
    let mut stream = BufReader::new(connect(folder).await?);
    line.push('\n');
    stream.get_mut().write_all(line.as_bytes()).await?;
    Ok(stream)
}

async fn next_line(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

async fn connect(folder: &Folder) -> io::Result<UnixStream> {
    let short = ShortPath::of(folder)?;
    UnixStream::connect(short.path()).await
}

async fn converse(stream: UnixStream, office: Arc<Office>) {
    // Whoever cannot be named is not served.
    let Ok(peer) = stream.peer_cred() else { return };
    let actor = Actor::user(peer.uid());
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        match (&mut reader).take(LONGEST_LINE).read_line(&mut line).await {
            Ok(0) => return,
            Ok(_) if line.ends_with('\n') => {}
            Ok(_) | Err(_) => return,
        }
        let (onlooker, mut follower) = Onlooker::new(actor.clone());
        let mut work = std::pin::pin!(answer(&office, &line, &onlooker));
        let mut is_silent = true;
        let answer = loop {
            tokio::select! {
                answer = &mut work => break answer,
                progress = follower.next() => {
                    if write(&mut writer, &Answer::Progress(progress)).await.is_err() {
                        follower.leave();
                    }
                }
                // Nothing is expected before the answer, so what comes is the end, or the next command early.
                more = reader.fill_buf(), if is_silent => {
                    is_silent = false;
                    if more.is_ok_and(<[u8]>::is_empty) {
                        follower.leave();
                    }
                }
            }
        };
        if write(&mut writer, &answer).await.is_err() {
            return;
        }
    }
}

async fn write(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut text = serde_json::to_string(answer).map_err(io::Error::other)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await
}

async fn answer(office: &Office, line: &str, onlooker: &Onlooker) -> Answer {
    let request = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => {
            let message = format!("the command is not one of this version: {error}");
            return Answer::Error { message, hint: None };
        }
    };
    match office.perform(request, onlooker).await {
        Ok(value) => Answer::Ok(value),
        Err(error) => {
            Answer::Error { message: error.to_string(), hint: error.hint().map(str::to_owned) }
        }
    }
}

/// The socket's path through an open folder: a socket's own path may have some hundred bytes only.
struct ShortPath {
    folder: File,
}

impl ShortPath {
    fn of(folder: &Folder) -> io::Result<Self> {
        Ok(Self { folder: File::open(folder.root())? })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/admin.sock", self.folder.as_raw_fd()))
    }
}

/// Commands at once.
const CONNECTIONS: usize = 32;
/// Bytes of one request.
const LONGEST_LINE: u64 = 1 << 20;
/// How long after a failed accept the next is tried.
const PAUSE: Duration = Duration::from_millis(100);
/// How long commands have to end at a shutdown.
const GRACE: Duration = Duration::from_secs(5);
