//! One suite for every runtime: the same rounds of the same study, natively and in Python, and what a plan may use.
//!
//! The Python runtime is the one that nodes have, in the sandbox that the program under test puts on. Without an
//! interpreter with torch and scikit-learn, which the variable `WARDROUND_TEST_PYTHON` names, its half is left out,
//! and the run says so.

mod leaks;
mod levels;
mod limits;
mod places;
mod plans;
mod python;
mod rounds;
mod ward;
