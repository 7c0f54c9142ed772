//! Whole commands, as a user types them: exit status, standard output and standard error of each.
//!
//! Every test has a folder of its own. What differs from run to run (identifiers, digests, ports, times, measured
//! numbers) is replaced before a transcript is compared with its snapshot.

mod audits;
mod coordinators;
mod daemon;
mod datasets;
mod doctor;
mod experiments;
mod federation;
mod folders;
mod help;
mod mistakes;
mod nodes;
mod place;
mod plans;
mod policies;
mod rounds;
mod sandboxes;
