//! What a stranger sends to become a member, and what a coordinator sends back: tokens, requests and certificates.

#![no_main]

use identity::request::{Occasion, Request};
use identity::token::{Secret, Token};
use identity::{Certified, Member};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use protocol::Digest;
use protocol::wire::v1;

fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses what is read, so that one corpus serves all.
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => enrols(bytes),
        1 => renews(bytes),
        2 => is_token(bytes),
        _ => drop(Certified::read(&bytes.into())),
    }
});

/// A request to join, as the coordinator reads it. Whoever knows no key of an identity passes only by luck.
fn enrols(bytes: &[u8]) {
    let Ok(wire) = v1::EnrolRequest::decode(bytes) else { return };
    let Ok(secret) = Secret::try_from(&wire.secret[..]) else { return };
    let Ok(member) = wire.member.parse::<Member>() else { return };
    assert_eq!(member.to_string(), wire.member);
    let parts = [&wire.identity_key[..], &wire.tls_key, &wire.signature];
    let authority = Digest::of(b"an authority");
    drop(Request::verify(member, parts, &authority, &Occasion::Enrolment(secret)));
}

fn renews(bytes: &[u8]) {
    let Ok(wire) = v1::RenewRequest::decode(bytes) else { return };
    let member = "node:north".parse().expect("it is a member's name");
    let identity = [7; 32];
    let parts = [&identity[..], &wire.tls_key, &wire.signature];
    let authority = Digest::of(b"an authority");
    drop(Request::verify(member, parts, &authority, &Occasion::Renewal(authority)));
}

/// A token, as a person pastes it: what is read is written as it was read.
fn is_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = text.parse::<Token>() else { return };
    let written = token.to_string();
    let again = written.parse::<Token>().expect("our own text");
    assert_eq!(again.to_string(), written);
}
