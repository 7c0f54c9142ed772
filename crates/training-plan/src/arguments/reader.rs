//! Reading single values out of a JSON object, collecting what is wrong with them.

use std::num::NonZeroU64;

use serde_json::{Map, Value};

use super::{ArgumentError, Rule, name};

/// One JSON object of arguments and the list where its errors are collected.
pub(crate) struct Reader<'a> {
    prefix: &'static str,
    object: &'a Map<String, Value>,
    errors: &'a mut Vec<ArgumentError>,
}

impl<'a> Reader<'a> {
    /// Reads the top level, whose members have no prefix.
    pub(crate) fn top(
        object: &'a Map<String, Value>,
        errors: &'a mut Vec<ArgumentError>,
    ) -> Reader<'a> {
        Self { prefix: "", object, errors }
    }

    /// Reads the members of the object argument `key`; absent gives none, anything that is no
    /// object is an error.
    pub(crate) fn member<'b>(&'b mut self, key: &'static str) -> Option<Reader<'b>> {
        match self.object.get(key) {
            None => None,
            Some(Value::Object(object)) => {
                Some(Reader { prefix: key, object, errors: self.errors })
            }
            Some(_) => {
                self.refuse(key, Rule::MustBe("an object"));
                None
            }
        }
    }

    /// Refuses every member whose full name is not in `known`.
    pub(crate) fn only(&mut self, known: &[&'static str]) {
        for key in self.object.keys() {
            let full = self.full_name(key);
            if known.contains(&full.as_str()) {
                continue;
            }
            let nearest = match self.prefix {
                "" => name::nearest_anywhere(key),
                _ => name::nearest(key, known),
            };
            let value = self.object.get(key);
            self.errors.push(ArgumentError::new(&full, value, Rule::Known { nearest }));
        }
    }

    /// The value as it was written, `null` included.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key)
    }

    /// Whether a value other than `null` was written.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some_and(|value| !value.is_null())
    }

    /// All members, in the order in which they were written.
    pub(crate) fn object(&self) -> &'a Map<String, Value> {
        self.object
    }

    /// Records that `key` breaks `rule`.
    pub(crate) fn refuse(&mut self, key: &str, rule: Rule) {
        let error = ArgumentError::new(&self.full_name(key), self.object.get(key), rule);
        self.errors.push(error);
    }

    /// Reads a boolean.
    pub(crate) fn boolean(&mut self, key: &str, default: bool) -> bool {
        match self.raw(key) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                self.refuse(key, Rule::MustBe("true or false"));
                default
            }
        }
    }

    /// Reads an integer from 0 on; what `accepts` refuses is an error in the given words.
    pub(crate) fn integer(
        &mut self,
        key: &str,
        words: &'static str,
        accepts: impl Fn(u64) -> bool,
    ) -> Option<u64> {
        self.read(key, words, |value| whole(value).filter(|number| accepts(*number)))
    }

    /// Reads an integer from 0 on, where `null` and absent mean none.
    pub(crate) fn optional_integer(&mut self, key: &str, words: &'static str) -> Option<u64> {
        if !self.has(key) {
            return None;
        }
        self.integer(key, words, |_| true)
    }

    /// Reads an integer of at least 1.
    pub(crate) fn positive(&mut self, key: &str) -> Option<NonZeroU64> {
        self.integer(key, "an integer of at least 1", |number| number >= 1)
            .and_then(NonZeroU64::new)
    }

    /// Reads a finite number; what `accepts` refuses is an error in the given words.
    pub(crate) fn number(
        &mut self,
        key: &str,
        words: &'static str,
        accepts: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        self.read(key, words, |value| number(value).filter(|number| accepts(*number)))
    }

    /// Reads a finite number, where `null` and absent mean none.
    pub(crate) fn optional_number(
        &mut self,
        key: &str,
        words: &'static str,
        accepts: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        if !self.has(key) {
            return None;
        }
        self.number(key, words, accepts)
    }

    fn read<T>(
        &mut self,
        key: &str,
        words: &'static str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.raw(key)?;
        let converted = convert(value);
        if converted.is_none() {
            self.refuse(key, Rule::MustBe(words));
        }
        converted
    }

    fn full_name(&self, key: &str) -> String {
        match self.prefix {
            "" => key.to_owned(),
            prefix => format!("{prefix}.{key}"),
        }
    }
}

/// A JSON number as an unsigned integer; a float counts when it is integral and at most 2^53, up
/// to where every integer has a float of its own.
fn whole(value: &Value) -> Option<u64> {
    if let Some(integer) = value.as_u64() {
        return Some(integer);
    }
    let float = value.as_f64().filter(|_| value.is_f64())?;
    let integral = float.fract() == 0.0 && (0.0..=LARGEST_EXACT).contains(&float);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the line above admits only integral values from 0 to 2^53"
    )]
    integral.then_some(float as u64)
}

/// A JSON number as a float; minus zero becomes zero, so that equal arguments have equal bytes.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite()).map(|number| number + 0.0)
}

const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_whole_numbers_count_as_integers() {
        assert_eq!(whole(&json!(3)), Some(3));
        assert_eq!(whole(&json!(3.0)), Some(3));
        assert_eq!(whole(&json!(-0.0)), Some(0));
        assert_eq!(whole(&json!(u64::MAX)), Some(u64::MAX));
        for wrong in [json!(3.5), json!(-1), json!(-1.0), json!(1e300), json!(true), json!("3")] {
            assert_eq!(whole(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn integers_count_as_numbers_and_booleans_do_not() {
        assert_eq!(number(&json!(2)), Some(2.0));
        assert_eq!(number(&json!(-0.0)).map(f64::to_bits), Some(0));
        assert_eq!(number(&json!(true)), None);
        assert_eq!(number(&json!("2")), None);
    }
}
