//! Keeps the beginning and the end of what a process prints, and counts the rest.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;

use crate::outcome::{Output, Stream};
use crate::system;

/// What is read from a process's two pipes.
#[derive(Debug)]
pub(crate) struct Capture {
    stdout: Source,
    stderr: Source,
}

impl Capture {
    /// Reads from these pipes.
    pub(crate) fn of(stdout: PipeReader, stderr: PipeReader) -> Self {
        Self { stdout: Source::of(stdout), stderr: Source::of(stderr) }
    }

    /// Reads until both pipes have ended; calls `exceeded` once when there was more than `limit`.
    pub(crate) fn follow(&mut self, limit: u64, mut exceeded: impl FnMut()) {
        let mut told = false;
        while self.step() {
            if !told && self.total() > limit {
                told = true;
                exceeded();
            }
        }
    }

    /// What was printed.
    pub(crate) fn output(self) -> Output {
        Output { stdout: self.stdout.ring.into_stream(), stderr: self.stderr.ring.into_stream() }
    }

    fn total(&self) -> u64 {
        self.stdout.ring.total.saturating_add(self.stderr.ring.total)
    }

    fn step(&mut self) -> bool {
        let mut open: Vec<&mut Source> = [&mut self.stdout, &mut self.stderr]
            .into_iter()
            .filter(|source| source.pipe.is_some())
            .collect();
        if open.is_empty() {
            return false;
        }
        let descriptors: Vec<_> =
            open.iter().filter_map(|source| source.pipe.as_ref().map(AsFd::as_fd)).collect();
        let Ok(ready) = system::readable(&descriptors, None) else { return false };
        for (source, ready) in open.iter_mut().zip(ready) {
            if ready {
                source.read();
            }
        }
        true
    }
}

#[derive(Debug)]
struct Source {
    pipe: Option<PipeReader>,
    ring: Ring,
}

impl Source {
    fn of(pipe: PipeReader) -> Self {
        Self { pipe: Some(pipe), ring: Ring::default() }
    }

    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut chunk = [0; 16 << 10];
        match pipe.read(&mut chunk) {
            Ok(0) => self.pipe = None,
            Ok(count) => self.ring.take(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.pipe = None,
        }
    }
}

#[derive(Debug, Default)]
struct Ring {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Ring {
    fn take(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let room = (KEPT - self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..surplus);
    }

    fn into_stream(self) -> Stream {
        Stream { head: self.head, tail: self.tail.into(), total: self.total }
    }
}

/// Bytes kept at each end of a stream.
const KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept_and_the_middle_is_counted() {
        let mut ring = Ring::default();
        for number in 0..100_000_u32 {
            ring.take(format!("{number:06}\n").as_bytes());
        }
        let stream = ring.into_stream();
        assert_eq!(stream.total, 700_000);
        assert_eq!((stream.head.len(), stream.tail.len()), (KEPT, KEPT));
        assert!(stream.head.starts_with(b"000000\n000001\n"));
        assert!(stream.tail.ends_with(b"099999\n"));
        assert_eq!(stream.omitted(), 700_000 - 2 * 65_536);
        assert!(stream.text().contains("[568928 bytes left out]"));
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut ring = Ring::default();
        ring.take(b"one\n");
        ring.take(b"two\n");
        assert_eq!(ring.into_stream().text(), "one\ntwo\n");
    }
}
