//! The JSON of a head, read member by member so that limits hold while it is read.

use std::{cell::Cell, collections::BTreeMap, fmt};

use serde::{
    Deserializer as _,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Entry, Error, METADATA_KEY};

/// Holds what the JSON says, in its order; names may still be there twice.
#[derive(Default)]
pub(super) struct Document {
    pub(super) tensors: Vec<(String, Entry)>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

pub(super) fn parse(json: &[u8], maximum_tensors: usize) -> Result<Document, Error> {
    let overfull = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let document = deserializer
        .deserialize_map(DocumentVisitor { maximum_tensors, overfull: &overfull })
        .and_then(|document| deserializer.end().map(|()| document));
    document.map_err(|error| {
        if overfull.get() {
            return Error::TooManyTensors { limit: maximum_tensors };
        }
        Error::Json(shortened(&error.to_string()))
    })
}

struct DocumentVisitor<'a> {
    maximum_tensors: usize,
    overfull: &'a Cell<bool>,
}

impl<'de> Visitor<'de> for DocumentVisitor<'_> {
    type Value = Document;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA_KEY {
                let metadata = map.next_value::<Metadata>()?.0;
                if document.metadata.replace(metadata).is_some() {
                    return Err(A::Error::duplicate_field(METADATA_KEY));
                }
            } else if document.tensors.len() == self.maximum_tensors {
                self.overfull.set(true);
                return Err(A::Error::custom("too many tensors"));
            } else {
                document.tensors.push((name, map.next_value()?));
            }
        }
        Ok(document)
    }
}

/// Reads a map of texts in which no key is there twice.
struct Metadata(BTreeMap<String, String>);

impl<'de> serde::Deserialize<'de> for Metadata {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor).map(Self)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut metadata = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            if metadata.insert(key, value).is_some() {
                return Err(A::Error::custom("a key of the metadata is there twice"));
            }
        }
        Ok(metadata)
    }
}

/// Keeps an error short and printable: serde repeats a stranger's text in it.
fn shortened(message: &str) -> String {
    let printable = message.chars().filter(|character| !character.is_control());
    let mut short: String = printable.clone().take(MAXIMUM_MESSAGE).collect();
    if printable.count() > MAXIMUM_MESSAGE {
        short.push('…');
    }
    short
}

const MAXIMUM_MESSAGE: usize = 200;
