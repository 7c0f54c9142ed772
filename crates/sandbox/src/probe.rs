//! The attacks of the self-test: what a hostile program would try first.
//!
//! They run inside a sandbox of this crate and say whether they were refused. None of them does
//! harm where it works.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::fs::{CWD, FileType, MemfdFlags, Mode};
use rustix::process::{Resource, Rlimit, Signal};

use crate::system::{self, Mount};

/// Performs a probe; it succeeds where the attack was refused.
pub(crate) fn run(name: &str, arguments: &[OsString]) -> ExitCode {
    let path = arguments.first().map_or_else(|| Path::new("/etc/passwd"), Path::new);
    let attacks = match name {
        "honest" => return honest(),
        "memory" => return memory(),
        "disk" => return disk(),
        "spin" => return spin(),
        "read" => vec![("file", fs::read(path).map(drop)), ("accounts", accounts())],
        "write" => vec![("file", write(path)), ("folder", fs::write("/var/tmp/probe", b""))],
        "processes" => vec![
            ("own status", fs::read("/proc/self/status").map(drop)),
            ("first process", fs::read_dir("/proc/1").map(drop)),
        ],
        "network" => network(),
        "program" => {
            vec![("shell", Command::new("/bin/sh").args(["-c", "true"]).status().map(drop))]
        }
        "links" => vec![
            ("symbolic", std::os::unix::fs::symlink(path, "symbolic")),
            ("hard", fs::hard_link(path, "hard")),
            ("pipe", pipe_file()),
        ],
        "signals" => vec![("parent", signal_parent()), ("everybody", signal_everybody())],
        "limits" => vec![("files", raise_limit()), ("memory file", memory_file())],
        "namespaces" => vec![("unshare", system::unshare(libc::CLONE_NEWUSER))],
        "mounts" => vec![("mount", mount())],
        _ => return ExitCode::from(2),
    };
    judge(attacks)
}

/// Succeeds where every attack was refused.
fn judge(attacks: Vec<(&str, io::Result<()>)>) -> ExitCode {
    let mut worked = Vec::new();
    for (attack, result) in attacks {
        match result {
            Err(error) if is_refusal(&error) => {}
            Err(error) => worked.push(format!("{attack}: {error}")),
            Ok(()) => worked.push(format!("{attack} worked")),
        }
    }
    let told = io::stderr().write_all(worked.join("\n").as_bytes());
    ExitCode::from(u8::from(!worked.is_empty() || told.is_err()))
}

/// Only these say that somebody refused; others say that the attack was made wrongly.
fn is_refusal(error: &io::Error) -> bool {
    let refusals =
        [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::ENOENT, libc::EROFS, libc::EXDEV];
    error.raw_os_error().is_some_and(|number| refusals.contains(&number))
}

/// What every program may do: its scratch folder, a thread, its own memory, a random number.
fn honest() -> ExitCode {
    let done = || -> io::Result<bool> {
        fs::create_dir("folder")?;
        fs::write("folder/file", b"text")?;
        fs::rename("folder/file", "folder/other")?;
        let read = fs::read("folder/other")?;
        fs::remove_dir_all("folder")?;
        let mut random = [0; 8];
        io::Read::read_exact(&mut File::open("/dev/urandom")?, &mut random)?;
        let described = fs::read_to_string("/proc/cpuinfo")?.len() > 100;
        let thread = std::thread::spawn(|| vec![1_u8; 1 << 20].len()).join();
        let variables = std::env::vars().count() <= VARIABLES;
        Ok(read == b"text" && described && variables && matches!(thread, Ok(1_048_576)))
    };
    match done() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _closed = write!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn accounts() -> io::Result<()> {
    fs::read("/etc/passwd").map(drop)
}

fn write(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path).map(drop)
}

fn network() -> Vec<(&'static str, io::Result<()>)> {
    vec![
        ("tcp", TcpStream::connect(("127.0.0.1", 9)).map(drop)),
        ("udp", UdpSocket::bind(("127.0.0.1", 0)).map(drop)),
        ("local socket", UnixStream::connect("/run/systemd/notify").map(drop)),
        ("pair of sockets", UnixStream::pair().map(drop)),
    ]
}

fn pipe_file() -> io::Result<()> {
    rustix::fs::mknodat(CWD, "pipe", FileType::Fifo, Mode::RUSR, 0).map_err(io::Error::from)
}

fn signal_parent() -> io::Result<()> {
    match rustix::process::getppid() {
        Some(parent) => rustix::process::test_kill_process(parent).map_err(io::Error::from),
        None => Err(io::Error::from_raw_os_error(libc::EPERM)),
    }
}

fn signal_everybody() -> io::Result<()> {
    rustix::process::kill_current_process_group(Signal::CONT).map_err(io::Error::from)
}

fn raise_limit() -> io::Result<()> {
    let limit = Rlimit { current: Some(64), maximum: Some(128) };
    rustix::process::setrlimit(Resource::Nofile, limit).map_err(io::Error::from)
}

fn memory_file() -> io::Result<()> {
    rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC).map(drop).map_err(io::Error::from)
}

fn mount() -> io::Result<()> {
    let source = Path::new("tmpfs");
    Mount { source, kind: "tmpfs", flags: 0, options: "" }.at(Path::new("."))
}

fn memory() -> ExitCode {
    let mut held = Vec::new();
    for round in 0..256_u32 {
        let block = vec![u8::try_from(round % 251).unwrap_or(0) + 1; 4 << 20];
        held.push(std::hint::black_box(block));
    }
    ExitCode::from(u8::from(held.len() == 256))
}

fn disk() -> ExitCode {
    let written = File::create("large").and_then(|mut file| {
        let block = vec![1; 1 << 20];
        (0..1024).try_for_each(|_| file.write_all(&block))
    });
    ExitCode::from(u8::from(written.is_err()))
}

fn spin() -> ExitCode {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

/// Those of every sandbox, and a few of a loader's.
const VARIABLES: usize = 12;
