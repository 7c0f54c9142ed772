//! The operator's socket: one request in a line, one answer in a line, as JSON.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Answer, Error, Office, Request};

/// The coordinator's end.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    office: Arc<Office>,
}

/// What goes back over the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Ok(Answer),
    Error { message: String, hint: Option<String> },
}

impl Listener {
    /// Opens the socket in the folder, for this user only, in place of one that a dead process left.
    pub(crate) fn open(folder: &Path, office: Office) -> io::Result<Self> {
        let path = folder.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let (short, _folder) = short_path(folder)?;
        let listener = UnixListener::bind(short)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
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
                        let conversation = converse(stream, Arc::clone(&self.office));
                        connections.spawn(tokio::time::timeout(LONGEST, conversation));
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

/// Asks whoever runs; nothing where nobody does.
pub(super) async fn ask(
    folder: &Path,
    request: &Request,
) -> Result<Option<Result<Answer, Error>>, Error> {
    let Ok(stream) = connect(folder).await else { return Ok(None) };
    let silent = |source| Error::Silent { folder: folder.to_owned(), source };
    let line = serde_json::to_string(request).expect("a request of plain fields is JSON");
    let asking = async {
        let mut stream = BufReader::new(stream);
        stream.get_mut().write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        serde_json::from_str(&answer).map_err(io::Error::other)
    };
    let answered = tokio::time::timeout(LONGEST, asking).await;
    let reply = answered.map_err(|_| silent(io::ErrorKind::TimedOut.into()))?.map_err(silent)?;
    Ok(Some(match reply {
        Reply::Ok(answer) => Ok(answer),
        Reply::Error { message, hint } => Err(Error::Refused { message, hint }),
    }))
}

async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let (short, _folder) = short_path(folder)?;
    UnixStream::connect(short).await
}

async fn converse(stream: UnixStream, office: Arc<Office>) -> io::Result<()> {
    // The socket's mode keeps others out; who asked stands in the log.
    let user = stream.peer_cred()?.uid();
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader).take(LONGEST_LINE).read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(request) => {
            tracing::info!(user, request = name(&request), "a command");
            reply(office.perform(&request).await)
        }
        Err(error) => {
            let message = format!("the command is not one of this version: {error}");
            Reply::Error { message, hint: None }
        }
    };
    let text = serde_json::to_string(&reply).map_err(io::Error::other)?;
    writer.write_all(format!("{text}\n").as_bytes()).await
}

fn reply(answer: Result<Answer, Error>) -> Reply {
    match answer {
        Ok(answer) => Reply::Ok(answer),
        Err(Error::Refused { message, hint }) => Reply::Error { message, hint },
        Err(error) => Reply::Error { message: error.to_string(), hint: None },
    }
}

fn name(request: &Request) -> &'static str {
    match request {
        Request::Invite { .. } => "invite",
        Request::Members { .. } => "members",
        Request::Overview => "overview",
        Request::Receipts { .. } => "receipts",
        Request::Revoke { .. } => "revoke",
    }
}

/// A socket's own path may have some hundred bytes only: it is named through the open folder.
fn short_path(folder: &Path) -> io::Result<(PathBuf, File)> {
    let open = File::open(folder)?;
    let path = format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd());
    Ok((PathBuf::from(path), open))
}

const NAME: &str = "admin.sock";
/// Commands at once.
const CONNECTIONS: usize = 32;
/// Bytes of one request.
const LONGEST_LINE: u64 = 64 << 10;
/// Longest time of one command.
const LONGEST: Duration = Duration::from_secs(30);
/// How long after a failed accept the next is tried.
const PAUSE: Duration = Duration::from_millis(100);
/// How long commands have to end at a shutdown.
const GRACE: Duration = Duration::from_secs(5);
