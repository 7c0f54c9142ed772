//! What nodes and researchers share when they join: the token, and what is said of it.

use std::io::Read as _;

use identity::Token;

use crate::failure::Failure;

/// Takes a token from an argument, or from standard input where the argument is `-`.
pub(crate) fn token(argument: &str) -> Result<Token, Failure> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        let read = std::io::stdin().take(LONGEST).read_to_string(&mut text);
        read.map_err(|error| Failure::usage(format!("standard input is no text: {error}")))?;
    }
    text.trim().parse().map_err(|error: identity::token::Error| {
        Failure::usage(error).hint("copy it whole from what `wardround coordinator token` printed")
    })
}

/// What is said to whoever has joined.
pub(crate) const COMPARE: &str =
    "read the six words to the coordinator's operator by telephone: they must be the same there";

/// Most bytes of a token that are read, with what stands around it.
const LONGEST: u64 = 16 << 10;
