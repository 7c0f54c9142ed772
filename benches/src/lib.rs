//! What the benchmarks share: a federation of real processes, their memory, the machine's description.
//!
//! A benchmark is a program of its own under `bin/`. It prints the machine, the command, its result, and the floor
//! that the same machine gives in the same run. This crate must never be depended on by another.
//! Start reading at [`federation::Federation`].

pub mod federation;
pub mod machine;
pub mod memory;
pub mod model;
pub mod spread;
pub mod torch;
