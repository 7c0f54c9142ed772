//! Certificates: what is written into them, and what is read from them.

use std::time::Duration;

use protocol::{Digest, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::key::PublicKey;
use crate::member::Member;

/// What a member's certificate says. It is only read from a certificate whose chain was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Whose certificate it is.
    pub member: Member,
    /// The identity that it is bound to.
    pub identity: PublicKey,
    /// The certificate's number, in hexadecimal digits.
    pub serial: String,
    /// The first instant at which it is good.
    pub valid_from: Timestamp,
    /// The instant from which it is no longer good.
    pub expires_at: Timestamp,
    /// The digest of the certificate.
    pub digest: Digest,
}

/// A certificate is not one of a member, or none at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no certificate.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It does not name exactly one member.
    #[error("the certificate does not name one member in the form wardround://role/name/identity")]
    NoMember,
    /// It cannot be written.
    #[error("the certificate cannot be written: {0}")]
    Unwritable(String),
}

impl Certified {
    /// Reads a member's certificate.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NoMember`] for one that names no member, more than one name, or a name of another form.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let parsed = parse(certificate)?;
        let names = parsed.subject_alternative_name().map_err(|_| Error::Unreadable)?;
        let names = names.ok_or(Error::NoMember)?;
        let [GeneralName::URI(uri)] = names.value.general_names[..] else {
            return Err(Error::NoMember);
        };
        let (member, identity) = parse_uri(uri).ok_or(Error::NoMember)?;
        let validity = parsed.validity();
        Ok(Self {
            member,
            identity,
            serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            valid_from: timestamp(validity.not_before.timestamp()),
            expires_at: timestamp(validity.not_after.timestamp()),
            digest: Digest::of(certificate),
        })
    }
}

/// Whoever a certificate says has issued it, for people to read.
pub(crate) fn issuer(certificate: &CertificateDer<'_>) -> String {
    let Ok(parsed) = parse(certificate) else { return "an unreadable certificate".to_owned() };
    // Whoever intercepts has written this: nothing but letters of one line go on.
    let text = parsed.issuer().to_string();
    text.chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect()
}

/// The digest of a certificate's public key, which is what a token names an authority by.
pub(crate) fn key_digest(certificate: &CertificateDer<'_>) -> Option<Digest> {
    Some(Digest::of(parse(certificate).ok()?.public_key().raw))
}

fn parse<'der>(certificate: &'der CertificateDer<'_>) -> Result<X509Certificate<'der>, Error> {
    let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| Error::Unreadable)?;
    if rest.is_empty() { Ok(parsed) } else { Err(Error::Unreadable) }
}

/// What an authority writes of itself.
pub(crate) fn of_authority(key: &PublicKey, now: Timestamp) -> Result<CertificateParams, Error> {
    let mut parameters = start(key, (now, AUTHORITY_DAYS * DAY))?;
    parameters.distinguished_name.push(DnType::CommonName, authority_name(key));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(parameters)
}

/// What an authority writes of the coordinator, which is reached by `names`.
pub(crate) fn of_coordinator(
    key: &PublicKey,
    names: &[String],
    now: Timestamp,
) -> Result<CertificateParams, Error> {
    let mut parameters = start(key, (now, SERVER_DAYS * DAY))?;
    parameters.distinguished_name.push(DnType::CommonName, "Wardround coordinator");
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        parameters.subject_alt_names.push(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(unwritable)?),
        });
    }
    Ok(parameters)
}

/// What an authority writes of a member.
pub(crate) fn of_member(
    key: &PublicKey,
    (member, identity): (&Member, &PublicKey),
    (now, life): (Timestamp, Duration),
) -> Result<CertificateParams, Error> {
    let mut parameters = start(key, (now, life.as_secs()))?;
    parameters.distinguished_name.push(DnType::CommonName, member.to_string());
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let uri = format!("{SCHEME}{}/{}/{}", member.role(), member.name(), identity.hexadecimal());
    let uri = uri.as_str().try_into().map_err(unwritable)?;
    parameters.subject_alt_names.push(SanType::URI(uri));
    Ok(parameters)
}

pub(crate) fn unwritable(error: rcgen::Error) -> Error {
    Error::Unwritable(error.to_string())
}

/// The authority's name is made of its key, so that two authorities are never mistaken for one another.
fn authority_name(key: &PublicKey) -> String {
    let digest = Digest::of(&key.subject_public_key_info());
    format!("Wardround authority {}", digest.short())
}

fn start(key: &PublicKey, (now, seconds): (Timestamp, u64)) -> Result<CertificateParams, Error> {
    let mut serial = [0; SERIAL];
    getrandom::fill(&mut serial).map_err(|error| Error::Unwritable(error.to_string()))?;
    // Positive, and of full length.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    let now = now.milliseconds() / 1000;
    // A member's clock may be some minutes behind; of a short life that must not be two thirds.
    parameters.not_before = instant(now.saturating_sub(CLOCK_SKEW.min(seconds / 4)))?;
    parameters.not_after = instant(now.saturating_add(seconds))?;
    parameters.use_authority_key_identifier_extension = true;
    let identifier = Digest::of(&key.subject_public_key_info()).as_bytes()[..20].to_vec();
    parameters.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
    Ok(parameters)
}

fn instant(seconds: u64) -> Result<time::OffsetDateTime, Error> {
    let seconds = i64::try_from(seconds).map_err(|error| Error::Unwritable(error.to_string()))?;
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_err(|error| Error::Unwritable(error.to_string()))
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_milliseconds(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}

fn parse_uri(uri: &str) -> Option<(Member, PublicKey)> {
    let mut parts = uri.strip_prefix(SCHEME)?.split('/');
    let (role, name, identity) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let member = Member::new(role.parse().ok()?, name).ok()?;
    Some((member, PublicKey::from_hexadecimal(identity).ok()?))
}

const SCHEME: &str = "wardround://";
const SERIAL: usize = 16;
const DAY: u64 = 24 * 60 * 60;
const CLOCK_SKEW: u64 = 15 * 60;
const LONGEST_NAME: usize = 200;

/// Days that an authority is good for: longer than any study.
const AUTHORITY_DAYS: u64 = 20 * 365;

/// Days that the coordinator's own certificate is good for.
const SERVER_DAYS: u64 = 30;

/// Days that a member's certificate is good for, where nothing else is said, and at most.
pub const MEMBER_DAYS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

    #[test]
    fn only_the_one_form_of_a_name_is_read() {
        let good = format!("wardround://node/north/{KEY}");
        let (member, identity) = parse_uri(&good).unwrap();
        assert_eq!(member.to_string(), "node:north");
        assert_eq!(identity.hexadecimal(), KEY);
        for text in [
            format!("wardround://node/north/{KEY}/"),
            format!("wardround://node//{KEY}"),
            format!("wardround://admin/north/{KEY}"),
            format!("WARDROUND://node/north/{KEY}"),
            format!("wardround://node/nor%74h/{KEY}"),
            format!("wardround://node/north/{}", KEY.to_uppercase()),
            "wardround://node/north".to_owned(),
            format!("https://node/north/{KEY}"),
        ] {
            assert_eq!(parse_uri(&text), None, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        for bytes in [&b""[..], b"\x30", b"hello", &[0x30; 5000]] {
            let certificate = CertificateDer::from(bytes);
            assert_eq!(Certified::read(&certificate), Err(Error::Unreadable));
            assert_eq!(issuer(&certificate), "an unreadable certificate");
        }
    }
}
