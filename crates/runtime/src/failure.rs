//! What goes wrong in a runtime: what may be said, and what stays with the node.

use protocol::{Code, Detail};

/// An early end of a round.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {local}")]
pub struct Failure {
    /// What whoever asked is told.
    pub code: Code,
    /// The one specific that may accompany the code; boxed, because results that hold it should stay
    /// small.
    pub detail: Option<Box<Detail>>,
    /// What the node's own log says; it never leaves the node.
    pub local: String,
}

impl Failure {
    /// A failure without a detail.
    #[must_use]
    pub fn new(code: Code, local: impl Into<String>) -> Self {
        Self { code, detail: None, local: local.into() }
    }

    /// Adds the typed detail.
    #[must_use]
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.detail = Some(Box::new(detail));
        self
    }

    /// A step that was asked for out of order: a defect of the caller.
    pub(crate) fn out_of_order(step: &str) -> Self {
        Self::new(Code::NodeInternal, format!("{step} was asked for before the step it needs"))
    }
}

impl From<dataset::Error> for Failure {
    fn from(error: dataset::Error) -> Self {
        Self::new(error.code(), with_causes(&error))
    }
}

/// An error's message and those of its causes, in one line for the log.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
