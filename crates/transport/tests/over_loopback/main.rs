//! Servers and clients over real loopback sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod careless;
mod cutter;
mod echo;
mod encrypted;
mod hostile;
mod members;
mod one_port;
mod ranges;
mod store_shelf;
mod transfers;
mod ward;
