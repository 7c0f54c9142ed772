//! Who is who: the coordinator's own small authority, a member's keys and certificate, the token that joins them,
//! and what TLS checks of all three.
//!
//! A member is a node or a researcher. Its identity is an Ed25519 key that is made where the member lives and never
//! leaves; the certificate that TLS shows lives for weeks and is bound to that key by a signed [`Request`].
//!
//! This crate must never know the network, a service or a database: it makes and checks, others carry and keep. The
//! time is always told to it.
//!
//! Start reading at [`Authority`], then [`Credentials`] and [`Token`].

pub mod authority;
pub mod certificate;
pub mod credentials;
pub mod file;
pub mod fingerprint;
pub mod key;
pub mod member;
pub mod peer;
pub mod receipt;
pub mod request;
pub mod time;
pub mod token;

mod tls;
mod words;

pub use authority::Authority;
pub use certificate::Certified;
pub use credentials::{Application, Credentials};
pub use fingerprint::Fingerprint;
pub use key::PublicKey;
pub use member::{Member, Role};
pub use receipt::Receipt;
pub use request::Request;
pub use time::Time;
pub use tls::Protocol;
pub use token::Token;
