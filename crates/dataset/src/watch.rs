//! How whoever waits for a registration sees how far it is, and ends it early.

use crate::{Error, Interrupt};

/// How far a registration is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// Files that were read.
    pub files: u64,
    /// Files there are.
    pub files_total: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes there are.
    pub bytes_total: u64,
}

/// Looks on while a dataset is registered.
///
/// # Examples
///
/// ```
/// use dataset::{Interrupt, Progress, Watch};
///
/// let mut last = Progress::default();
/// let mut tell = |progress| last = progress;
/// let watch = Watch::new(Interrupt::never()).telling(&mut tell);
/// # drop(watch);
/// ```
pub struct Watch<'a> {
    interrupt: Interrupt<'a>,
    tell: Option<&'a mut dyn FnMut(Progress)>,
    progress: Progress,
}

impl<'a> Watch<'a> {
    /// Looks on silently; the work ends soon after the interrupt says so.
    pub fn new(interrupt: Interrupt<'a>) -> Self {
        Self { interrupt, tell: None, progress: Progress::default() }
    }

    /// Nobody looks on.
    pub fn nobody() -> Self {
        Self::new(Interrupt::never())
    }

    /// Tells the progress after every file; the answer must be quick.
    #[must_use]
    pub fn telling(mut self, tell: &'a mut dyn FnMut(Progress)) -> Self {
        self.tell = Some(tell);
        self
    }

    /// The question whether to go on.
    pub fn interrupt(&mut self) -> &mut Interrupt<'a> {
        &mut self.interrupt
    }

    /// Says how much there is to do.
    pub(crate) fn expect(&mut self, files: u64, bytes: u64) {
        self.progress.files_total = files;
        self.progress.bytes_total = bytes;
        self.say();
    }

    /// Counts a file that was read, and asks whether to go on.
    pub(crate) fn done(&mut self, bytes: u64) -> Result<(), Error> {
        self.progress.files += 1;
        self.progress.bytes += bytes;
        self.say();
        self.interrupt.look()
    }

    fn say(&mut self) {
        if let Some(tell) = &mut self.tell {
            tell(self.progress);
        }
    }
}
