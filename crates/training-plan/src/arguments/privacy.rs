//! The privacy group: checked and named today, honoured by a later version.

use serde_json::Value;

use super::Rule;
use super::name;
use super::reader::Reader;

/// Reads `dp_args`.
///
/// Every member is checked first, so that a researcher learns of a slip at once; arguments without
/// a fault are then refused as a whole, because ignoring them would promise a privacy that nobody
/// provides.
pub(super) fn read(reader: &mut Reader<'_>) {
    if !reader.has("dp_args") {
        return;
    }
    let Some(mut members) = reader.member("dp_args") else { return };
    if !check(&mut members) {
        return;
    }
    reader.refuse("dp_args", Rule::NotAvailable);
}

/// Checks the members and says whether they are all there and right.
fn check(members: &mut Reader<'_>) -> bool {
    members.only(name::PRIVACY);
    let kind = required(members, "type", |members| {
        let known = matches!(members.raw("type"), Some(Value::String(kind)) if
            ["local", "central"].contains(&kind.as_str()));
        if !known {
            members.refuse("type", Rule::MustBe("\"local\" or \"central\""));
        }
        known.then_some(0.0)
    });
    let sigma = required(members, "sigma", |members| {
        members.number("sigma", "a number above 0", |sigma| sigma > 0.0)
    });
    let clip = required(members, "clip", |members| {
        members.number("clip", "a number above 0", |clip| clip > 0.0)
    });
    let delta = required(members, "delta", |members| {
        members.number("delta", "a number above 0 and below 1", |delta| delta > 0.0 && delta < 1.0)
    });
    kind && sigma && clip && delta && members.object().len() == name::PRIVACY.len()
}

fn required(
    members: &mut Reader<'_>,
    key: &str,
    read: impl FnOnce(&mut Reader<'_>) -> Option<f64>,
) -> bool {
    if members.raw(key).is_none() {
        members.refuse(key, Rule::Required);
        return false;
    }
    read(members).is_some()
}
