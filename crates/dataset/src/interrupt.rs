//! How whoever waits for long work ends it early.

use std::ops::ControlFlow;

use crate::Error;

/// Asked again and again during long work whether it shall go on; the work ends soon after it shall not.
///
/// # Examples
///
/// ```
/// use std::ops::ControlFlow;
///
/// use dataset::{Error, Interrupt, Options, TabularSource, register};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ward.csv");
/// std::fs::write(&path, "age,outcome\n61,B\n48,M\n")?;
/// let registration = register(&path, &Options::default())?;
///
/// let mut stop = || ControlFlow::Break(());
/// let mut source = TabularSource::open(&path, &registration)?;
/// let read = source.read_interruptibly(&[], &mut Interrupt::by(&mut stop));
/// assert!(matches!(read, Err(Error::Interrupted)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Interrupt<'a>(Option<&'a mut dyn FnMut() -> ControlFlow<()>>);

impl<'a> Interrupt<'a> {
    /// Work that nobody ends early.
    pub const fn never() -> Self {
        Self(None)
    }

    /// Work that ends soon after the answer is to break off; the question must be quick to answer.
    pub fn by(goes_on: &'a mut dyn FnMut() -> ControlFlow<()>) -> Self {
        Self(Some(goes_on))
    }

    /// The same question, lent for a part of the work.
    pub(crate) fn lend(&mut self) -> Interrupt<'_> {
        match &mut self.0 {
            Some(goes_on) => Interrupt(Some(&mut **goes_on)),
            None => Interrupt(None),
        }
    }

    /// Asks.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] where the work shall end.
    pub fn look(&mut self) -> Result<(), Error> {
        match self.0.as_mut().map(|goes_on| goes_on()) {
            Some(ControlFlow::Break(())) => Err(Error::Interrupted),
            Some(ControlFlow::Continue(())) | None => Ok(()),
        }
    }
}
