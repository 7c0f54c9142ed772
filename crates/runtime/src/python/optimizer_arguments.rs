//! What a plan says of its optimizer, as far as it may be told.

use serde_json::{Map, Value};

/// Keeps settings that are numbers, switches or nothing, under plain names, and the optimizer's name.
///
/// They are told before the plan has seen a row, and they go to the researcher: no text of the plan's, but names.
pub(super) fn permitted(told: &Map<String, Value>) -> Map<String, Value> {
    let plain = told.iter().filter(|(key, value)| is_name(key) && is_permitted(key, value));
    plain.take(MOST).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn is_permitted(key: &str, value: &Value) -> bool {
    let is_plain = |value: &Value| value.is_number() || value.is_boolean() || value.is_null();
    match value {
        Value::Array(items) => items.len() <= MOST && items.iter().all(is_plain),
        Value::String(text) => is_named_by_text(key) && is_name(text),
        value => is_plain(value),
    }
}

/// The keys whose values are names of the frameworks'.
fn is_named_by_text(key: &str) -> bool {
    ["kind", "learning_rate", "loss", "penalty", "solver", "activation", "init"].contains(&key)
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Settings of an optimizer.
const MOST: usize = 48;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_pass_and_texts_do_not() {
        let told = json!({
            "kind": "SGD", "lr": 0.1, "betas": [0.9, 0.99], "nesterov": false, "note": "p4711 is ill",
            "a key of many words": 1, "deep": {"a": 1},
        });
        let kept = permitted(told.as_object().unwrap());
        let expected = json!({"kind": "SGD", "lr": 0.1, "betas": [0.9, 0.99], "nesterov": false});
        assert_eq!(Value::Object(kept), expected);
    }
}
