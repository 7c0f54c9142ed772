//! A key as people compare it: six words, for a telephone.

use std::fmt;

use protocol::{Digest, Digester};

use crate::key::PublicKey;
use crate::words::WORDS;

/// What two people compare to be sure that they mean the same key.
///
/// Six words of 256 carry 48 bits. Each is made slow on purpose, by 16,384 digests one after another, so that to
/// find another key with the same words costs 2⁶² digests and not 2⁴⁸.
///
/// # Examples
///
/// ```
/// use identity::PublicKey;
///
/// let text = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
/// let key: PublicKey = text.parse()?;
/// let fingerprint = key.fingerprint();
/// assert_eq!(fingerprint.to_string().split(' ').count(), 6);
/// assert_eq!(fingerprint.short().len(), 12);
/// # Ok::<(), identity::key::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    pub(crate) fn of(key: &PublicKey) -> Self {
        let mut digester = Digester::new();
        digester.update(LABEL);
        digester.update(key.as_bytes());
        let mut digest = digester.finish();
        for _ in 0..ROUNDS {
            digest = Digest::of(digest.as_bytes());
        }
        Self(digest)
    }

    /// The same 48 bits as twelve hexadecimal digits.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.as_bytes()[..COUNT].iter().map(|byte| WORDS[usize::from(*byte)]);
        formatter.pad(&words.collect::<Vec<_>>().join(" "))
    }
}

/// Digests that follow the first: a few milliseconds.
const ROUNDS: usize = 1 << 14;
const COUNT: usize = 6;
const LABEL: &[u8] = b"wardround fingerprint 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_same_words_for_ever() {
        let text = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let one = text.parse::<PublicKey>().unwrap().fingerprint();
        assert_eq!(one.to_string(), "reef album blanket rhubarb squirrel vanilla");
        let other = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_ne!(other.parse::<PublicKey>().unwrap().fingerprint(), one);
    }
}
