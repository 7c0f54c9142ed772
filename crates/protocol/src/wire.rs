//! The generated messages and the door through which they become values.
//!
//! `v1` is what tonic and prost generate from `proto/`. The conversions beside it are the only way in: they check
//! every identifier, name, digest and number, and an [`Error`] says which field broke which rule, without its value.

pub mod refusal;
mod reply;
mod request;
mod scalar;
mod summary;

/// The generated messages, clients and servers of `proto/wardround/v1/wardround.proto`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code: which lints it meets changes with the generator"
)]
pub mod v1 {
    tonic::include_proto!("wardround.v1");
}

/// A message that does not follow the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field \"{field}\": {rule}")]
pub struct Error {
    /// The field, with its message where that is not clear: `plan.digest`.
    pub field: &'static str,
    /// The rule that it breaks.
    pub rule: String,
}

impl Error {
    /// Names a field and the rule it breaks.
    pub fn new(field: &'static str, rule: impl std::fmt::Display) -> Self {
        Self { field, rule: rule.to_string() }
    }
}

/// Whether bytes that came inside a message are the whole short file that a reference names.
pub fn is_carried(bytes: &[u8], reference: &crate::ArtifactReference) -> bool {
    let size = bytes.len() as u64;
    size > 0
        && size <= CARRIED_BYTES
        && size == reference.size
        && crate::Digest::of(bytes) == reference.digest
}

/// The most bytes of a file that travels inside a message; a longer one is transferred by itself.
pub const CARRIED_BYTES: u64 = 64 << 10;

/// Parses a field that travels as text.
///
/// # Errors
///
/// Names the field and the rule of its type.
pub fn parse<T>(field: &'static str, text: &str) -> Result<T, Error>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|rule| Error::new(field, rule))
}

/// Parses a field that travels as a JSON object; an empty text is an empty object.
///
/// # Errors
///
/// Names the field when the text is too long or no JSON object.
pub fn parse_object(
    field: &'static str,
    text: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, Error> {
    if text.is_empty() {
        return Ok(serde_json::Map::new());
    }
    if text.len() > MAXIMUM_JSON {
        return Err(Error::new(field, format!("has at most {MAXIMUM_JSON} bytes")));
    }
    serde_json::from_str(text).map_err(|_| Error::new(field, "is a JSON object"))
}

fn require<T>(field: &'static str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::new(field, "is required"))
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn object_text(object: &serde_json::Map<String, serde_json::Value>) -> String {
    if object.is_empty() {
        return String::new();
    }
    serde_json::to_string(object).expect("a JSON object can always be written")
}

fn limited(field: &'static str, length: usize, limit: usize) -> Result<(), Error> {
    if length <= limit {
        Ok(())
    } else {
        Err(Error::new(field, format!("has at most {limit} entries")))
    }
}

fn short(field: &'static str, text: String, limit: usize) -> Result<String, Error> {
    if text.len() <= limit {
        Ok(text)
    } else {
        Err(Error::new(field, format!("has at most {limit} bytes")))
    }
}

/// The longest JSON text in a field, in bytes.
pub const MAXIMUM_JSON: usize = 1 << 20;
/// The most columns that a dataset or request may name.
pub const MAXIMUM_COLUMNS: usize = 20_000;
/// The most metrics in one report or scalar.
pub const MAXIMUM_METRICS: usize = 32;
/// The most datasets that a node may offer.
pub const MAXIMUM_DATASETS: usize = 1_000;
/// The longest message of the control stream, in bytes.
pub const MAXIMUM_MESSAGE: usize = 16 << 20;
