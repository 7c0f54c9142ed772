//! What of a plan matters to whoever runs it: its digest without comments and insignificant whitespace.
//!
//! Nothing is ever approved by this digest. It lets an owner see that a plan is one that was judged before, written
//! otherwise. So it errs on one side: two texts that mean the same may have two digests, and a text that cannot be
//! taken apart with certainty has none.

mod python;

use protocol::{Digest, RuntimeKind};
use serde_json::{Map, Value as Json};
use toml::Value;

use crate::Bundle;

/// The digest of a plan without comments and insignificant whitespace; none where a file cannot be taken apart.
///
/// A TOML file is parsed and written again with its keys in order. A Python file becomes its tokens: indentation counts
/// as deeper or less deep, texts stay as they are written, and lines within brackets are one.
///
/// # Examples
///
/// ```
/// use training_plan::{Bundle, normal};
///
/// let one = Bundle::python("x = 1  # one\n")?;
/// let other = Bundle::python("# the same\nx=1\n")?;
/// let third = Bundle::python("x = 2\n")?;
/// assert_ne!(one.digest(), other.digest());
/// assert_eq!(normal::digest(&one), normal::digest(&other));
/// assert_ne!(normal::digest(&one), normal::digest(&third));
/// # Ok::<(), training_plan::bundle::Error>(())
/// ```
#[must_use]
pub fn digest(bundle: &Bundle) -> Option<Digest> {
    let mut files = Map::new();
    for (name, text) in bundle.files() {
        let normal = if bundle.runtime() == RuntimeKind::Python {
            Json::from(python::tokens(text)?)
        } else {
            Json::from(canonical(text)?)
        };
        files.insert(name.to_owned(), normal);
    }
    let form = serde_json::json!([FORMAT, bundle.runtime(), files]);
    Some(Digest::of(form.to_string().as_bytes()))
}

/// The top-level packages that a Python plan imports, sorted; none where it is another plan.
#[must_use]
pub fn imports(bundle: &Bundle) -> Vec<String> {
    if bundle.runtime() != RuntimeKind::Python {
        return Vec::new();
    }
    let mut found: Vec<String> =
        bundle.files().flat_map(|(_, text)| python::imports(text)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A TOML text with its keys in order and everything that means the same written the same.
fn canonical(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    Some(ordered(&Value::Table(table)).to_string())
}

fn ordered(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Integer(number) => Json::from(*number),
        // 1 and 1.0 are two values in TOML, and a number that is none is written in no JSON.
        Value::Float(number) => serde_json::json!({ "": format!("{number:?}") }),
        Value::Boolean(flag) => Json::from(*flag),
        Value::Datetime(instant) => serde_json::json!({ "": instant.to_string() }),
        Value::Array(values) => values.iter().map(ordered).collect(),
        Value::Table(table) => {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            entries.into_iter().map(|(key, value)| (key.clone(), ordered(value))).collect()
        }
    }
}

/// What the digest is of, so that no other use of the same bytes has the same digest.
const FORMAT: &str = "wardround-normal-plan/1";

#[cfg(test)]
mod tests {
    use super::*;

    fn native(text: &str) -> Option<Digest> {
        let files = [("plan.toml".to_owned(), text.to_owned())];
        digest(&Bundle::new(RuntimeKind::Native, files.into()).unwrap())
    }

    fn python(text: &str) -> Option<Digest> {
        digest(&Bundle::python(text).unwrap())
    }

    #[test]
    fn a_native_plan_written_otherwise_is_recognised() {
        let plan = "[plan]\nname = \"p\"\n[model]\nlayers = [{ dense = { units = 1 } }]\n";
        let other =
            "# mine\n[model]\nlayers = [\n  {dense={units=0x1}}, # one\n]\n[plan]\nname = 'p'";
        assert!(native(plan).is_some());
        assert_eq!(native(plan), native(other));
        for changed in ["units = 1.0", "units = 2", "units = \"1\""] {
            assert_ne!(native(plan), native(&plan.replace("units = 1", changed)), "{changed}");
        }
        let turned = "[model]\nlayers = [1, 2]\n";
        assert_ne!(native(turned), native(&turned.replace("1, 2", "2, 1")));
        assert_eq!(native("[plan"), None);
    }

    #[test]
    fn a_python_plan_written_otherwise_is_recognised() {
        let plan = "import os\n\ndef f(a, b):\n    if a:\n        return [a,\n            b]\n    return 'x # y'\n";
        let other = "import os # the system\ndef f( a,b ) :\n\tif a :\n\t\treturn [ a , b ] # both\n\n\t# else\n\treturn 'x # y'";
        assert!(python(plan).is_some());
        assert_eq!(python(plan), python(other));
        let joined = plan.replace("if a:", "if \\\n  a:");
        assert_eq!(python(plan), python(&joined));
        for (from, to) in [
            ("'x # y'", "'x  # y'"),
            ("'x # y'", "\"x # y\""),
            ("    return 'x # y'", "        return 'x # y'"),
            ("f(a", "fa"),
            ("[a,", "[a"),
            ("import os", "import o s"),
        ] {
            assert_ne!(python(plan), python(&plan.replace(from, to)), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_taken_apart_with_certainty_has_no_digest() {
        for text in [
            "# -*- coding: latin-1 -*-\nx = 1\n",
            "x = 'open\n",
            "x = '''open\n",
            "x = (1\n",
            "x = 1)\n",
            "if x:\n    y\n  z\n",
            "if x:\n \ty\n",
            "x = f\"{y[\"#\"]}\"\n",
            "x = 1\u{c}\n",
            "x = 1 \\ \n",
            "x = $\n",
        ] {
            assert_eq!(python(text), None, "{text:?}");
        }
    }

    #[test]
    fn imported_packages_are_named_once() {
        let plan = "import torch.nn as nn, numpy\nfrom sklearn.linear_model import SGDClassifier\nfrom . import x\ndef f():\n    import numpy\n'import os'\n";
        assert_eq!(imports(&Bundle::python(plan).unwrap()), ["numpy", "sklearn", "torch"]);
    }
}
