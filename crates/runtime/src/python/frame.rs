//! Frames on a worker's socket: bounded, with a deadline, and with an ear for interruptions.
//!
//! A frame is the header's length (32 bits), the payload's length (64 bits), both little-endian, the header
//! (a JSON object in UTF-8) and the payload. Descriptors travel with the first byte of a frame, to the worker
//! only: those that a worker sends are closed unseen.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::{Interruption, Monitor};

/// One message and the bytes that came with it.
#[derive(Debug)]
pub(super) struct Frame {
    /// A JSON object, not parsed yet.
    pub(super) header: Vec<u8>,
    /// What the header speaks of.
    pub(super) payload: Vec<u8>,
}

/// Why there is no frame, or none could be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The worker is gone.
    #[error("the worker closed its socket")]
    Gone,
    /// The worker said something that is no frame.
    #[error("the worker sent {0}")]
    Malformed(String),
    /// Somebody ended the work.
    #[error("the work was ended")]
    Interrupted(Interruption),
    /// The time for the answer is over.
    #[error("the worker did not answer in time")]
    Late,
    /// The node would send more than a frame may have.
    #[error("{0}")]
    TooLarge(String),
    /// The socket failed.
    #[error("the worker's socket failed")]
    Socket(#[source] std::io::Error),
}

/// How long is waited, and who may end the waiting.
pub(super) struct Patience<'m> {
    monitor: &'m mut dyn Monitor,
    until: Instant,
}

impl<'m> Patience<'m> {
    /// Waits this long from now.
    pub(super) fn new(monitor: &'m mut dyn Monitor, time: Duration) -> Self {
        // The machine's clock bounds a wait here; it decides nothing that is written down.
        let now = Instant::now();
        Self { monitor, until: now.checked_add(time).unwrap_or(now + LONGEST) }
    }

    /// Whom measurements are told to.
    pub(super) fn monitor(&mut self) -> &mut dyn Monitor {
        self.monitor
    }

    fn look(&mut self) -> Result<(), Error> {
        if let Some(interruption) = self.monitor.interruption() {
            return Err(Error::Interrupted(interruption));
        }
        if Instant::now() >= self.until { Err(Error::Late) } else { Ok(()) }
    }
}

/// Prepares a socket: no call on it blocks longer than the ear is away.
pub(super) fn prepare(socket: &UnixStream) -> std::io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(TURN))?;
    socket.set_write_timeout(Some(TURN))
}

/// Sends a frame.
pub(super) fn send(
    socket: &UnixStream,
    frame: &Frame,
    descriptors: &[BorrowedFd<'_>],
    patience: &mut Patience<'_>,
) -> Result<(), Error> {
    if frame.header.len() > LARGEST_HEADER || frame.payload.len() > LARGEST_PAYLOAD {
        let (header, payload) = (frame.header.len(), frame.payload.len());
        let text = format!("{header} and {payload} bytes are more than a frame may have");
        return Err(Error::TooLarge(text));
    }
    let mut head = Vec::with_capacity(PREFIX + frame.header.len());
    let length = u32::try_from(frame.header.len()).expect("a header has at most a mebibyte");
    head.extend_from_slice(&length.to_le_bytes());
    head.extend_from_slice(&(frame.payload.len() as u64).to_le_bytes());
    head.extend_from_slice(&frame.header);
    let sent = send_first(socket, &head, descriptors, patience)?;
    send_rest(socket, &head[sent..], patience)?;
    send_rest(socket, &frame.payload, patience)
}

/// Receives the next frame; nothing of it is believed but its lengths, which are bounded.
pub(super) fn receive(socket: &UnixStream, patience: &mut Patience<'_>) -> Result<Frame, Error> {
    patience.look()?;
    let mut prefix = [0; PREFIX];
    receive_exactly(socket, &mut prefix, patience)?;
    let (header, payload) = prefix.split_at(4);
    let header = u32::from_le_bytes(header.try_into().expect("four bytes were split off"));
    let payload = u64::from_le_bytes(payload.try_into().expect("eight bytes are left"));
    let header = usize::try_from(header).ok().filter(|length| *length <= LARGEST_HEADER);
    let payload = usize::try_from(payload).ok().filter(|length| *length <= LARGEST_PAYLOAD);
    let (Some(header), Some(payload)) = (header, payload) else {
        return Err(Error::Malformed("a frame larger than a frame may be".to_owned()));
    };
    let mut frame = Frame { header: vec![0; header], payload: vec![0; payload] };
    receive_exactly(socket, &mut frame.header, patience)?;
    receive_exactly(socket, &mut frame.payload, patience)?;
    Ok(frame)
}

/// Sends the first bytes, and with them the descriptors.
fn send_first(
    socket: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    patience: &mut Patience<'_>,
) -> Result<usize, Error> {
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fits =
            descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        assert!(fits, "a frame carries at most two descriptors");
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
            Ok(sent) => return Ok(sent),
            Err(error) => wait_after(error.into(), patience)?,
        }
    }
}

fn send_rest(
    mut socket: &UnixStream,
    mut bytes: &[u8],
    patience: &mut Patience<'_>,
) -> Result<(), Error> {
    while !bytes.is_empty() {
        match socket.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) => wait_after(error, patience)?,
        }
    }
    Ok(())
}

fn receive_exactly(
    mut socket: &UnixStream,
    mut buffer: &mut [u8],
    patience: &mut Patience<'_>,
) -> Result<(), Error> {
    while !buffer.is_empty() {
        match socket.read(buffer) {
            Ok(0) => return Err(Error::Gone),
            Ok(received) => buffer = &mut buffer[received..],
            Err(error) => wait_after(error, patience)?,
        }
    }
    Ok(())
}

/// A turn without a byte is time to look round; anything else is the end.
fn wait_after(error: std::io::Error, patience: &mut Patience<'_>) -> Result<(), Error> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => patience.look(),
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Err(Error::Gone),
        _ => Err(Error::Socket(error)),
    }
}

/// Bytes before the header.
const PREFIX: usize = 12;

/// Bytes of a header: 1 MiB.
const LARGEST_HEADER: usize = 1 << 20;

/// Bytes of a payload: 16 MiB.
const LARGEST_PAYLOAD: usize = 16 << 20;

/// Descriptors of a frame.
const MOST_DESCRIPTORS: usize = 2;

/// How long a call on the socket may block.
const TURN: Duration = Duration::from_millis(20);

/// Longer than any round.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measurement;

    struct Patient(Option<Interruption>);

    impl Monitor for Patient {
        fn measured(&mut self, _measurement: Measurement) {}

        fn interruption(&mut self) -> Option<Interruption> {
            self.0
        }
    }

    fn pair() -> (UnixStream, UnixStream) {
        let (node, worker) = UnixStream::pair().unwrap();
        prepare(&node).unwrap();
        (node, worker)
    }

    fn receive_from(bytes: &[u8]) -> Result<Frame, Error> {
        let (node, mut worker) = pair();
        worker.write_all(bytes).unwrap();
        drop(worker);
        let mut monitor = Patient(None);
        receive(&node, &mut Patience::new(&mut monitor, Duration::from_secs(10)))
    }

    #[test]
    fn a_frame_arrives_as_it_was_sent() {
        let (node, worker) = pair();
        prepare(&worker).unwrap();
        let mut monitor = Patient(None);
        let mut patience = Patience::new(&mut monitor, Duration::from_secs(10));
        let frame = Frame { header: b"{}".to_vec(), payload: vec![7; 70_000] };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut monitor = Patient(None);
                let mut patience = Patience::new(&mut monitor, Duration::from_secs(10));
                send(&worker, &frame, &[], &mut patience).unwrap();
            });
            let received = receive(&node, &mut patience).unwrap();
            assert_eq!((received.header, received.payload), (b"{}".to_vec(), vec![7; 70_000]));
        });
    }

    #[test]
    fn a_frame_that_announces_too_much_is_refused_before_it_is_read() {
        let mut bytes = (1_u32 << 30).to_le_bytes().to_vec();
        bytes.extend_from_slice(&0_u64.to_le_bytes());
        assert!(matches!(receive_from(&bytes), Err(Error::Malformed(_))));
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        bytes.extend_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(receive_from(&bytes), Err(Error::Malformed(_))));
    }

    #[test]
    fn a_worker_that_ends_in_the_middle_of_a_frame_is_gone() {
        assert!(matches!(receive_from(&[]), Err(Error::Gone)));
        assert!(matches!(receive_from(&[9, 0, 0, 0, 0, 0]), Err(Error::Gone)));
    }

    #[test]
    fn silence_ends_with_the_time_or_with_an_interruption() {
        let (node, _worker) = pair();
        let mut monitor = Patient(None);
        let mut patience = Patience::new(&mut monitor, Duration::from_millis(30));
        assert!(matches!(receive(&node, &mut patience), Err(Error::Late)));
        let mut monitor = Patient(Some(Interruption::Cancelled));
        let mut patience = Patience::new(&mut monitor, Duration::from_secs(60));
        let ended = receive(&node, &mut patience);
        assert!(matches!(ended, Err(Error::Interrupted(Interruption::Cancelled))));
    }
}
