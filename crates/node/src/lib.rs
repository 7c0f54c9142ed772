//! The node's daemon.
