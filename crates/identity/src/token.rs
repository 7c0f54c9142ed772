//! A join token: what a coordinator's operator hands to whoever shall become a member.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::Digest;

use crate::member::Member;

/// Where the coordinator is, how its authority is recognised, who may join, and a secret that is good for once.
///
/// It is one line of letters, digits, `-` and `_`. Whoever has it can join in the member's place until it is used or
/// expires, so it travels as a password does.
///
/// # Examples
///
/// ```
/// use identity::token::{Secret, Token};
/// use protocol::Digest;
///
/// let token = Token {
///     address: "https://ward.example:7400".to_owned(),
///     authority: Digest::of(b"a public key"),
///     member: "node:north".parse()?,
///     secret: Secret::from_bytes([7; 20]),
/// };
/// let text = token.to_string();
/// assert!(text.starts_with("wardround-join-"));
/// assert_eq!(text.parse::<Token>()?, token);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The coordinator's address, as it is dialled.
    pub address: String,
    /// The SHA-256 of the authority's public key.
    pub authority: Digest,
    /// Who may join with it.
    pub member: Member,
    /// What shows that the coordinator's operator gave it.
    pub secret: Secret,
}

/// 160 bits that nobody guesses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; SECRET]);

/// Which rule of tokens a text breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It begins otherwise.
    #[error("a token begins with \"{PREFIX}\"")]
    NotToken,
    /// It has too many characters.
    #[error("a token has at most {LONGEST} characters")]
    TooLong,
    /// A character is not one of a token's.
    #[error("a token has letters, digits, '-' and '_' only, without spaces or line breaks")]
    Characters,
    /// Some of it is missing or was altered.
    #[error("the token's check digits do not fit: it was not copied whole")]
    Damaged,
    /// It was made by another version.
    #[error("the token's content has a form that this version does not know")]
    Form,
}

impl Secret {
    /// Draws a secret.
    ///
    /// # Errors
    ///
    /// Returns what the system says that has no randomness.
    pub fn draw() -> std::io::Result<Self> {
        let mut bytes = [0; SECRET];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(bytes))
    }

    /// Takes the bytes of a secret.
    pub const fn from_bytes(bytes: [u8; SECRET]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they travel to the coordinator.
    pub fn as_bytes(&self) -> &[u8; SECRET] {
        &self.0
    }

    /// What a coordinator keeps in place of the secret.
    pub fn digest(&self) -> Digest {
        Digest::of(&[LABEL, &self.0].concat())
    }
}

impl TryFrom<&[u8]> for Secret {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        bytes.try_into().map(Self).map_err(|_| Error::Form)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({} at {})", self.member, self.address)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = format!("{} {}", self.member, self.address);
        let mut bytes = [&self.secret.0, &self.authority.as_bytes()[..], texts.as_bytes()].concat();
        bytes.extend_from_slice(&check(&bytes));
        write!(formatter, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::TooLong);
        }
        let content = text.strip_prefix(PREFIX).ok_or(Error::NotToken)?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !content.bytes().all(is_allowed) {
            return Err(Error::Characters);
        }
        let bytes = URL_SAFE_NO_PAD.decode(content).map_err(|_| Error::Damaged)?;
        let (bytes, given) = bytes.split_last_chunk::<CHECK>().ok_or(Error::Damaged)?;
        if check(bytes) != *given {
            return Err(Error::Damaged);
        }
        let (secret, bytes) = bytes.split_first_chunk().ok_or(Error::Form)?;
        let (authority, texts) = bytes.split_first_chunk().ok_or(Error::Form)?;
        let texts = std::str::from_utf8(texts).map_err(|_| Error::Form)?;
        let (member, address) = texts.split_once(' ').ok_or(Error::Form)?;
        let is_address = |byte: u8| byte.is_ascii_graphic();
        if address.is_empty() || !address.bytes().all(is_address) {
            return Err(Error::Form);
        }
        Ok(Self {
            address: address.to_owned(),
            authority: Digest::from_bytes(*authority),
            member: member.parse().map_err(|_| Error::Form)?,
            secret: Secret(*secret),
        })
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let digest = Digest::of(&[LABEL, bytes].concat());
    let [first, second, third, fourth, ..] = *digest.as_bytes();
    [first, second, third, fourth]
}

/// Bytes of a secret.
pub const SECRET: usize = 20;

const CHECK: usize = 4;
const LONGEST: usize = 1024;
const PREFIX: &str = "wardround-join-";
const LABEL: &[u8] = b"wardround join token 1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token {
            address: "https://[fd00::1]:7400".to_owned(),
            authority: Digest::of(b"key"),
            member: "researcher:ada".parse().unwrap(),
            secret: Secret([9; SECRET]),
        }
    }

    #[test]
    fn each_refusal_names_its_rule() {
        let text = token().to_string();
        let cases = [
            ("hello".to_owned(), Error::NotToken),
            (format!("{text}="), Error::Characters),
            (format!("{PREFIX}a b"), Error::Characters),
            (text[..text.len() - 1].to_owned(), Error::Damaged),
            (PREFIX.to_owned(), Error::Damaged),
            (format!("{PREFIX}{}", "A".repeat(LONGEST)), Error::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Token>().unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_content_of_another_form_is_refused() {
        let encode = |bytes: &[u8]| {
            let whole = [bytes, &check(bytes)].concat();
            format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(whole))
        };
        let head = [0; SECRET + 32];
        for texts in ["", "node:north", "node:north ", "node:a b c", "root:a https://b:1"] {
            let text = encode(&[&head, texts.as_bytes()].concat());
            assert_eq!(text.parse::<Token>(), Err(Error::Form), "{texts}");
        }
        assert_eq!(encode(b"short").parse::<Token>(), Err(Error::Form));
    }

    #[test]
    fn what_is_shown_for_debugging_has_no_secret() {
        assert_eq!(format!("{:?}", token()), "Token(researcher:ada at https://[fd00::1]:7400)");
    }

    proptest! {
        #[test]
        fn one_altered_character_is_found(at in 15_usize..120, to in "[A-Za-z0-9_-]") {
            let text = token().to_string();
            prop_assume!(at < text.len() && text[at..=at] != to);
            let altered = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assert_eq!(altered.parse::<Token>(), Err(Error::Damaged));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,200}") {
            let _answered = text.parse::<Token>();
            let _answered = format!("{PREFIX}{text}").parse::<Token>();
        }
    }
}
