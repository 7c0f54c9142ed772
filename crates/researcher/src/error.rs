//! What can go wrong for a researcher's program.

use std::path::PathBuf;

use protocol::wire::refusal;
use protocol::{Code, wire};

/// Why something asked of this crate did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the experiment breaks a rule.
    #[error(transparent)]
    Definition(#[from] training_plan::document::Error),
    /// The plan's files do not make a plan.
    #[error(transparent)]
    Bundle(#[from] training_plan::bundle::Error),
    /// The plan does not fit the selected datasets.
    #[error(transparent)]
    Resolve(#[from] training_plan::plan::ResolveError),
    /// The plan's model cannot be initialised.
    #[error(transparent)]
    Initialise(#[from] runtime::native::InitialError),
    /// The query asks for too much, or not for the datasets' columns.
    #[error(transparent)]
    Statistics(#[from] runtime::statistics::EmptyError),
    /// What the experiment has made is no table of statistics.
    #[error(transparent)]
    Table(#[from] training_plan::statistics::TableError),
    /// The statistics give no scale.
    #[error(transparent)]
    Scale(#[from] training_plan::statistics::ScaleError),
    /// A Python plan makes its first parameters itself, and nobody has had it do so.
    #[error("a Python plan is submitted with its first parameters, and there are none")]
    NoParameters,
    /// The plan could not make its first parameters on this machine.
    #[error(transparent)]
    FirstParameters(#[from] runtime::Failure),
    /// A file of this machine cannot be read or written.
    #[error("file {path} cannot be used")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is no address that may be used.
    #[error(transparent)]
    Address(#[from] transport::address::Error),
    /// The coordinator cannot be reached.
    #[error(transparent)]
    Dial(transport::dial::Error),
    /// The coordinator stopped answering.
    #[error("the coordinator does not answer")]
    Silent(#[source] Box<tonic::Status>),
    /// The coordinator refuses.
    #[error("{message}")]
    Refused {
        /// Why, as a code.
        code: Code,
        /// Why, in the coordinator's words.
        message: String,
    },
    /// The coordinator speaks another version of the protocol.
    #[error(transparent)]
    Version(#[from] transport::wire_version::Mismatch),
    /// The coordinator's answer does not follow the protocol.
    #[error("the coordinator's answer is not understood")]
    Answer(#[from] wire::Error),
    /// A file did not get across.
    #[error(transparent)]
    Transfer(#[from] transport::artifact::client::Error),
    /// The experiment has no model yet.
    #[error("experiment {experiment} has no model yet")]
    NoModel {
        /// The experiment.
        experiment: protocol::ExperimentId,
    },
}

impl From<transport::dial::Error> for Error {
    fn from(error: transport::dial::Error) -> Self {
        match error {
            transport::dial::Error::Address(error) => Self::Address(error),
            error => Self::Dial(error),
        }
    }
}

impl Error {
    /// The code of the coordinator's refusal, where it refused.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Version(_) => Some(Code::WireVersion),
            Self::Definition(_)
            | Self::Bundle(_)
            | Self::Resolve(_)
            | Self::Initialise(_)
            | Self::Statistics(_)
            | Self::Table(_)
            | Self::Scale(_)
            | Self::NoParameters
            | Self::FirstParameters(_)
            | Self::File { .. }
            | Self::Address(_)
            | Self::Dial(_)
            | Self::Silent(_)
            | Self::Answer(_)
            | Self::Transfer(_)
            | Self::NoModel { .. } => None,
        }
    }

    /// Whether nobody answered; the same call may succeed later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Dial(
                transport::dial::Error::Unreachable { .. } | transport::dial::Error::Proxy { .. },
            )
            | Self::Silent(_) => true,
            Self::Transfer(error) => error.is_unreachable(),
            Self::Dial(_)
            | Self::Definition(_)
            | Self::Bundle(_)
            | Self::Resolve(_)
            | Self::Initialise(_)
            | Self::Statistics(_)
            | Self::Table(_)
            | Self::Scale(_)
            | Self::NoParameters
            | Self::FirstParameters(_)
            | Self::File { .. }
            | Self::Address(_)
            | Self::Refused { .. }
            | Self::Version(_)
            | Self::Answer(_)
            | Self::NoModel { .. } => false,
        }
    }

    /// What can be done about a connection that is refused, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Dial(error) => error.hint(),
            Self::Refused { code: Code::IdentityRefused, .. } => Some(
                "ask the coordinator's operator for a token, and join with `wardround researcher init --join TOKEN`",
            ),
            _ => None,
        }
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        match refusal::code(&status) {
            Some(code) => {
                let said = status.message();
                // The code stands beside the words; it need not be said twice.
                let words =
                    said.strip_prefix(code.as_str()).and_then(|rest| rest.strip_prefix(": "));
                Self::Refused { code, message: words.unwrap_or(said).to_owned() }
            }
            None => Self::Silent(Box::new(status)),
        }
    }
}
