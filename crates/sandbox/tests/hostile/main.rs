//! Hostile programs and jobs, at every level that this machine offers: each is refused or ended, and the next works.

mod callers;
mod programs;
mod served;
mod settings;
