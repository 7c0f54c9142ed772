//! Dialling, one-port serving, artifact transfer with resume, back-off.
