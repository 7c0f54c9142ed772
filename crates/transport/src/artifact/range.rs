//! The part of a file that a request asks for.

use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};

/// What of a file is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it.
    Whole,
    /// `length` bytes from `start` on; never empty.
    Part { start: u64, length: u64 },
    /// A part that the file does not have.
    Unsatisfiable,
}

/// Reads `Range` and `If-Range` (RFC 9110, section 14).
///
/// What is malformed, in other units, or asks for several ranges is answered with the whole file,
/// as the standard allows.
pub(super) fn select(headers: &HeaderMap, size: u64, etag: &str) -> Selection {
    let Some(range) = headers.get(RANGE) else { return Selection::Whole };
    let is_current = headers.get(IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    let range = range.to_str().ok().and_then(parse);
    match range {
        Some(range) if is_current => resolve(range, size),
        _ => Selection::Whole,
    }
}

/// Says whether `If-None-Match` names the file.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok()).any(|tags| {
        let mut tags = tags.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

#[derive(Clone, Copy)]
enum Range {
    From { first: u64, last: Option<u64> },
    Last(u64),
}

fn parse(text: &str) -> Option<Range> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    match (first, last) {
        ("", last) => Some(Range::Last(digits(last)?)),
        (first, "") => Some(Range::From { first: digits(first)?, last: None }),
        (first, last) => {
            let (first, last) = (digits(first)?, digits(last)?);
            (first <= last).then_some(Range::From { first, last: Some(last) })
        }
    }
}

/// A plain run of digits: `parse` alone would take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn resolve(range: Range, size: u64) -> Selection {
    let (start, end) = match range {
        Range::From { first, last: Some(last) } => (first, size.min(last.saturating_add(1))),
        Range::From { first, last: None } => (first, size),
        Range::Last(count) => (size.saturating_sub(count), size),
    };
    if start >= end {
        return Selection::Unsatisfiable;
    }
    Selection::Part { start, length: end - start }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn selected(range: &str, size: u64) -> Selection {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        select(&headers, size, "\"tag\"")
    }

    #[test]
    fn the_edges_of_a_file_are_right() {
        let part = |start, length| Selection::Part { start, length };
        for (range, expected) in [
            ("bytes=0-", part(0, 10)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=9-9", part(9, 1)),
            ("bytes=9-", part(9, 1)),
            ("bytes=3-99", part(3, 7)),
            ("bytes=3-18446744073709551615", part(3, 7)),
            ("bytes=-1", part(9, 1)),
            ("bytes=-10", part(0, 10)),
            ("bytes=-11", part(0, 10)),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=10-12", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
        ] {
            assert_eq!(selected(range, 10), expected, "{range}");
        }
        assert_eq!(selected("bytes=0-", 0), Selection::Unsatisfiable);
        assert_eq!(selected("bytes=-5", 0), Selection::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_range_gets_the_whole_file() {
        for range in [
            "bytes=5-3",
            "bytes=a-b",
            "bytes=-",
            "bytes=+1-2",
            "bytes=1",
            "rows=0-1",
            "bytes=0-1,3-4",
            "bytes=99999999999999999999-",
            "",
        ] {
            assert_eq!(selected(range, 10), Selection::Whole, "{range}");
        }
    }

    #[test]
    fn if_range_holds_a_range_back_when_the_file_is_another() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=1-"));
        headers.insert(IF_RANGE, HeaderValue::from_static("\"other\""));
        assert_eq!(select(&headers, 10, "\"tag\""), Selection::Whole);
        headers.insert(IF_RANGE, HeaderValue::from_static("\"tag\""));
        assert_eq!(select(&headers, 10, "\"tag\""), Selection::Part { start: 1, length: 9 });
    }

    #[test]
    fn a_known_file_is_recognised_in_any_spelling_of_the_header() {
        for (tags, known) in [
            ("\"tag\"", true),
            ("*", true),
            ("W/\"tag\"", true),
            ("\"a\", \"tag\"", true),
            ("\"a\"", false),
            ("tag", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(tags).unwrap());
            assert_eq!(is_known(&headers, "\"tag\""), known, "{tags}");
        }
    }
}
