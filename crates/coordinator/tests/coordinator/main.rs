//! The coordinator in this process, with scripted nodes that speak the real stream over loopback.

mod experiments;
mod support;
