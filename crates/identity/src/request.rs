//! What a member asks of the authority, signed by its identity.

use protocol::Digest;

use crate::key::{PublicKey, SIGNATURE};
use crate::member::Member;
use crate::token::Secret;

/// A request for a certificate: who asks, with which identity, for which key of TLS.
///
/// The identity's signature binds all of it to one authority and to one occasion, so that it cannot be shown
/// elsewhere or again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub member: Member,
    /// The member's identity.
    pub identity: PublicKey,
    /// The key that the certificate shall be for.
    pub tls: PublicKey,
    /// The identity's signature.
    pub signature: [u8; SIGNATURE],
}

/// On which occasion a certificate is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The member joins, with a token's secret.
    Enrolment(Secret),
    /// The member shows the certificate with this digest and asks for its next one.
    Renewal(Digest),
}

/// What makes a request no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A key is not one.
    #[error("{0} is not a key")]
    NotKey(&'static str),
    /// The signature is not the identity's, or was made for something else.
    #[error("the request is not signed by the identity that it names")]
    Signature,
    /// The key of TLS is the identity.
    #[error("the key of TLS is another one than the identity")]
    SameKey,
}

impl Request {
    /// Checks what came from outside.
    ///
    /// # Errors
    ///
    /// Returns the first rule that it breaks.
    pub fn verify(
        member: Member,
        [identity, tls, signature]: [&[u8]; 3],
        authority: &Digest,
        occasion: &Occasion,
    ) -> Result<Self, Error> {
        let identity = PublicKey::from_bytes(identity).map_err(|_| Error::NotKey("identity"))?;
        let tls = PublicKey::from_bytes(tls).map_err(|_| Error::NotKey("tls"))?;
        if identity == tls {
            return Err(Error::SameKey);
        }
        let signature: [u8; SIGNATURE] = signature.try_into().map_err(|_| Error::Signature)?;
        let message = message(&member, &identity, &tls, (authority, occasion));
        if !identity.has_signed(&message, &signature) {
            return Err(Error::Signature);
        }
        Ok(Self { member, identity, tls, signature })
    }
}

/// What the identity signs: a label, then each part with its length before it.
pub(crate) fn message(
    member: &Member,
    identity: &PublicKey,
    tls: &PublicKey,
    (authority, occasion): (&Digest, &Occasion),
) -> Vec<u8> {
    let (label, occasion) = match occasion {
        Occasion::Enrolment(secret) => ("wardround enrolment 1", secret.digest()),
        Occasion::Renewal(certificate) => ("wardround renewal 1", *certificate),
    };
    let member = member.to_string();
    let parts: [&[u8]; 6] = [
        label.as_bytes(),
        authority.as_bytes(),
        occasion.as_bytes(),
        member.as_bytes(),
        identity.as_bytes(),
        tls.as_bytes(),
    ];
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_le_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::SecretKey;

    fn signed(
        secret: &SecretKey,
        tls: &PublicKey,
        authority: &Digest,
        occasion: &Occasion,
    ) -> [u8; 64] {
        let member = "node:north".parse().unwrap();
        secret.sign(&message(&member, &secret.public(), tls, (authority, occasion)))
    }

    #[test]
    fn a_request_is_good_for_its_authority_occasion_and_member_only() {
        let identity = SecretKey::draw().unwrap();
        let tls = SecretKey::draw().unwrap().public();
        let authority = Digest::of(b"authority");
        let occasion = Occasion::Enrolment(Secret::from_bytes([1; 20]));
        let signature = signed(&identity, &tls, &authority, &occasion);
        let public = identity.public();
        let verify = |member: &str, tls: &PublicKey, authority: &Digest, occasion: &Occasion| {
            let parts = [&public.as_bytes()[..], tls.as_bytes(), &signature];
            Request::verify(member.parse().unwrap(), parts, authority, occasion)
        };
        assert!(verify("node:north", &tls, &authority, &occasion).is_ok());
        let other = Occasion::Enrolment(Secret::from_bytes([2; 20]));
        let renewal = Occasion::Renewal(Secret::from_bytes([1; 20]).digest());
        let wrong = [
            verify("node:south", &tls, &authority, &occasion),
            verify("researcher:north", &tls, &authority, &occasion),
            verify("node:north", &SecretKey::draw().unwrap().public(), &authority, &occasion),
            verify("node:north", &tls, &Digest::of(b"another"), &occasion),
            verify("node:north", &tls, &authority, &other),
            verify("node:north", &tls, &authority, &renewal),
        ];
        assert!(wrong.iter().all(|refused| *refused == Err(Error::Signature)), "{wrong:?}");
        assert_eq!(verify("node:north", &public, &authority, &occasion), Err(Error::SameKey));
    }

    proptest! {
        #[test]
        fn garbage_is_refused(
            parts in proptest::array::uniform3(prop::collection::vec(any::<u8>(), 0..100)),
        ) {
            let [identity, tls, signature] = &parts;
            let occasion = Occasion::Renewal(Digest::of(b"certificate"));
            let parts: [&[u8]; 3] = [identity, tls, signature];
            let member = "node:north".parse().unwrap();
            prop_assert!(Request::verify(member, parts, &Digest::of(b""), &occasion).is_err());
        }
    }
}
