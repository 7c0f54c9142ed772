//! A node on real sockets, with real data, against a small coordinator that speaks the real protocol.

mod administration;
mod approvals;
mod coordinator;
mod failures;
mod restarts;
mod rounds;
mod site;
