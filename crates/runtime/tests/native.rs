//! The native runtime, on real files, phase by phase.

#[path = "native/arguments.rs"]
mod arguments;
#[path = "native/breast_cancer.rs"]
mod breast_cancer;
#[path = "native/data.rs"]
mod data;
#[path = "native/failures.rs"]
mod failures;
#[path = "native/independent.rs"]
mod independent;
#[path = "native/interruptions.rs"]
mod interruptions;
#[path = "native/reference.rs"]
mod reference;
#[path = "native/scalars.rs"]
mod scalars;
#[path = "native/support.rs"]
mod support;
