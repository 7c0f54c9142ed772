//! Carrying messages and files between processes: one port that serves gRPC and HTTP together,
//! dialling it, artifact transfer that goes on where it broke, and back-off.
//!
//! This crate must never know what is carried: no service, plan or experiment has a name here, but for the one service
//! that gives certificates. A caller is a role and a name, an artifact a digest and a size.
//!
//! Start reading at [`Server`] and [`artifact::routes()`], then [`dial()`] and [`ArtifactClient`].

pub mod address;
pub mod artifact;
pub mod back_off;
pub mod caller;
pub mod dial;
pub mod dialler;
pub mod enrolment;
pub mod proxy;
pub mod server;
pub mod wire_version;

mod reach;

pub use address::Address;
pub use artifact::{ArtifactClient, ArtifactShelf};
pub use back_off::BackOff;
pub use caller::{Caller, Introduction};
pub use dial::{Line, dial};
pub use dialler::Identity;
pub use enrolment::{enrol, renew};
pub use proxy::Proxy;
pub use server::Server;
pub use server::security::Security;
