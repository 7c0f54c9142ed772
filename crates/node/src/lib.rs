//! The node: the daemon of one hospital.
//!
//! It dials its coordinator and never listens to the network, keeps datasets and the owner's decisions about plans,
//! drives [`round::Round`] through all phases with a runtime, and decides what leaves.
//!
//! This crate must never know other nodes or aggregation strategies.
//!
//! Start reading at [`Node::run`], then the dispatcher, the round driver and its steps; [`Administration`] is the
//! owner's door.

pub mod administration;
pub mod audit;
pub mod backup;
pub mod config;
pub mod devices;
pub mod doctor;
pub mod folder;
pub mod grant;
pub mod joining;
pub mod membership;
pub mod node;
pub mod notice;
pub mod policy;
pub mod registry;
pub mod retention;
pub mod round_log;
pub mod run_request;

mod approval;
mod carrier;
mod declined;
mod dispatcher;
mod egress;
mod kept_state;
mod key_replacement;
mod link;
mod outbox;
mod plan_content;
mod policy_file;
mod pythons;
mod round_driver;
mod self_test;
mod site;
mod slots;
mod stop_flag;
mod witness;

pub use administration::Administration;
pub use config::{Config, init};
pub use folder::Folder;
pub use joining::{Joined, join};
pub use key_replacement::KeyReplacement;
pub use node::{Handle, Node};
pub use notice::Notice;
pub use policy::Policy;
pub use run_request::{LocalFiles, run_request};
pub use self_test::SandboxStatus;
