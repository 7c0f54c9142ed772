//! Finds quotes that are never closed, which would take the following rows into one cell.

use crate::error::{Error, Place};
use crate::format::Delimiter;

/// Follows the quotes of one record as RFC 4180 has them: a cell that starts with a quote ends with one.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    state: State,
    /// The line of the quote that was opened last.
    opened: u64,
    /// The line of the first quote after whose end its cell goes on.
    broken: Option<u64>,
}

/// What can be wrong with a record's quotes; the line is that of the opening one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is never closed.
    Unclosed { line: u64 },
    /// It is closed, and its cell goes on.
    Continued { line: u64 },
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unclosed { line } => Self::UnclosedQuote { place: Place::Line(line) },
            Fault::Continued { line } => Self::TextAfterQuote { place: Place::Line(line) },
        }
    }
}

/// Where in a record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a cell.
    Start,
    /// In a cell without quotes around it.
    Plain,
    /// Between a cell's quotes.
    Quoted,
    /// After a quote within quotes: it ends the cell, or the next one doubles it.
    Closed,
}

impl Quotes {
    pub(super) fn new(delimiter: Delimiter) -> Self {
        Self { delimiter: delimiter.byte(), state: State::Start, opened: 0, broken: None }
    }

    /// Goes to the start of a record.
    pub(super) fn start_record(&mut self) {
        (self.state, self.broken) = (State::Start, None);
    }

    /// Follows a part of the record; `line` is the line of its first byte.
    pub(super) fn follow(&mut self, part: &[u8], mut line: u64) {
        let is_outside = matches!(self.state, State::Start | State::Plain);
        if is_outside && !part.contains(&b'"') {
            // Nearly all of a file goes this way, which is a fast one.
            if let Some(last) = part.last() {
                self.state = if *last == self.delimiter { State::Start } else { State::Plain };
            }
            return;
        }
        for byte in part {
            self.step(*byte, line);
            line += u64::from(*byte == b'\n');
        }
    }

    /// What is wrong with the record so far, if it ended here.
    pub(super) fn fault(&self) -> Option<Fault> {
        let unclosed = self.state == State::Quoted;
        let open = unclosed.then_some(Fault::Unclosed { line: self.opened });
        self.broken.map(|line| Fault::Continued { line }).or(open)
    }

    fn step(&mut self, byte: u8, line: u64) {
        let ends_cell = byte == self.delimiter;
        self.state = match (self.state, byte) {
            (State::Start, b'"') => {
                self.opened = line;
                State::Quoted
            }
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) | (State::Closed, b'"') => State::Quoted,
            (State::Start | State::Plain | State::Closed, _) if ends_cell => State::Start,
            (State::Closed, b'\n' | b'\r' | b' ') => State::Closed,
            (State::Closed, _) => {
                self.broken.get_or_insert(self.opened);
                State::Plain
            }
            (State::Start | State::Plain, _) => State::Plain,
        };
    }
}
