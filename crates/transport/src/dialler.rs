//! Who one is to the coordinator.

use std::sync::Arc;

use identity::{Credentials, Protocol};

use crate::Address;
use crate::address;
use crate::caller::{Caller, Introduction};
use crate::dial::Error;
use crate::reach::Way;

/// What whoever dials is known by.
///
/// A bare [`Caller`] is good for plain loopback only, where a coordinator was told to believe names.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Keys and a certificate; connections are encrypted.
    Credentials(Arc<Credentials>),
    /// A name that is said and not proven.
    InsecureLoopback(Caller),
}

impl Identity {
    /// Who it is.
    pub fn caller(&self) -> Caller {
        match self {
            Self::Credentials(credentials) => credentials.member(),
            Self::InsecureLoopback(caller) => caller.clone(),
        }
    }

    pub(crate) fn introduction(&self) -> Introduction {
        match self {
            Self::Credentials(_) => Introduction::by_certificate(),
            Self::InsecureLoopback(caller) => Introduction::of(caller),
        }
    }

    pub(crate) fn way(&self, address: &Address, protocol: Protocol) -> Result<Way, Error> {
        match self {
            Self::Credentials(credentials) => {
                Ok(Way::Tls(Arc::new(credentials.client_config(protocol)?)))
            }
            Self::InsecureLoopback(_) if address.is_encrypted() => {
                Err(address::Error::Encrypted { text: address.to_string() }.into())
            }
            Self::InsecureLoopback(_) => Ok(Way::PlainLoopback),
        }
    }
}

impl From<Caller> for Identity {
    fn from(caller: Caller) -> Self {
        Self::InsecureLoopback(caller)
    }
}

impl From<&Caller> for Identity {
    fn from(caller: &Caller) -> Self {
        Self::InsecureLoopback(caller.clone())
    }
}

impl From<Arc<Credentials>> for Identity {
    fn from(credentials: Arc<Credentials>) -> Self {
        Self::Credentials(credentials)
    }
}

impl From<&Identity> for Identity {
    fn from(identity: &Identity) -> Self {
        identity.clone()
    }
}
