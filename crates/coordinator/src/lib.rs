//! The coordinator's server.
