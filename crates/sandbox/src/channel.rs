//! Whole messages with descriptors between two processes of this machine.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One end of a pair of sockets that keep messages apart.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

/// A message and the descriptors that came with it.
pub(crate) struct Received<T> {
    pub(crate) message: T,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Two ends; both are closed when a program is started.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// Takes a descriptor that is such an end.
    pub(crate) fn from_descriptor(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Gives the descriptor away.
    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.socket
    }

    /// Sends a message with descriptors.
    pub(crate) fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let parts = [IoSlice::new(&bytes)];
        rustix::net::sendmsg(&self.socket, &parts, &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for the next message; none when the other end is closed.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<Received<T>>> {
        let mut bytes = vec![0; LARGEST];
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = loop {
            let flags = RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(&self.socket, &mut parts, &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        let mut descriptors = Vec::new();
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(sent) = part {
                descriptors.extend(sent);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let message = serde_json::from_slice(&bytes[..received.bytes])?;
        Ok(Some(Received { message, descriptors }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The longest message.
const LARGEST: usize = 160 << 10;
/// Room for eight descriptors.
const SPACE: usize = rustix::cmsg_space!(ScmRights(8));
