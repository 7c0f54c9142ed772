//! A node on real sockets, with real data, against a small coordinator that speaks the real protocol.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod administration;
mod approvals;
mod audit;
mod backups;
mod bounds;
mod carried;
mod coordinator;
mod databases;
mod datasets;
mod doctor;
mod exclusions;
mod failures;
mod grants;
mod machine;
mod policy;
mod policy_file;
mod releases;
mod restarts;
mod retention;
mod rounds;
mod site;
