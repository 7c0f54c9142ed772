//! What one cell of a text file says.

use std::borrow::Cow;

use crate::format::DecimalMark;

/// A cell's content. Blanks around it do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Nothing, or one of [`MISSING_MARKERS`].
    Missing,
    /// `true` or `false` in any case.
    Boolean(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other finite number.
    Number(f64),
    /// A number that no 64-bit float can hold.
    OutOfRange,
    /// Anything else.
    Text(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// Reads a cell. `inf` and its like are texts: a measurement is finite.
    pub(crate) fn parse(cell: &'a [u8], decimal: DecimalMark) -> Self {
        let cell = cell.trim_ascii();
        if is_missing(cell) {
            return Self::Missing;
        }
        match shape(cell, decimal) {
            Shape::Whole => whole(cell),
            Shape::Fraction => fraction(cell, decimal),
            Shape::Other if cell.eq_ignore_ascii_case(b"true") => Self::Boolean(true),
            Shape::Other if cell.eq_ignore_ascii_case(b"false") => Self::Boolean(false),
            Shape::Other => Self::Text(cell),
        }
    }
}

/// The texts that stand for a missing value, besides an empty cell: those that pandas and R write or know.
pub const MISSING_MARKERS: &[&str] = &[
    "#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Whether a cell is empty or holds a marker for a missing value.
pub(crate) fn is_missing(cell: &[u8]) -> bool {
    match cell.trim_ascii() {
        [] => true,
        // No marker starts with a digit, and most cells do: they are spared the list.
        cell @ [first, ..] if !first.is_ascii_digit() => {
            cell.len() <= 4 && MISSING_MARKERS.iter().any(|marker| marker.as_bytes() == cell)
        }
        _ => false,
    }
}

enum Shape {
    Whole,
    Fraction,
    Other,
}

/// Tells numbers from other texts: sign, digits, mark, digits, exponent; a digit before or after the mark.
fn shape(cell: &[u8], decimal: DecimalMark) -> Shape {
    let mark = match decimal {
        DecimalMark::Point => b'.',
        DecimalMark::Comma => b',',
    };
    let (before, rest) = digits(unsigned(cell));
    if before > 0 && rest.is_empty() {
        return Shape::Whole;
    }
    let (after, rest) = match rest.strip_prefix(&[mark]) {
        Some(rest) => digits(rest),
        None => (0, rest),
    };
    let exponent = match rest {
        [] => true,
        [b'e' | b'E', power @ ..] => matches!(digits(unsigned(power)), (1.., [])),
        _ => false,
    };
    if before + after > 0 && exponent { Shape::Fraction } else { Shape::Other }
}

fn unsigned(text: &[u8]) -> &[u8] {
    match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    }
}

fn digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, &text[count..])
}

fn whole<'a>(cell: &[u8]) -> Cell<'a> {
    let text = ascii(cell);
    text.parse().map_or_else(|_| number(text), Cell::Integer)
}

fn fraction<'a>(cell: &[u8], decimal: DecimalMark) -> Cell<'a> {
    let text = ascii(cell);
    let text = match decimal {
        DecimalMark::Point => Cow::Borrowed(text),
        DecimalMark::Comma => Cow::Owned(text.replace(',', ".")),
    };
    number(&text)
}

fn number<'a>(text: &str) -> Cell<'a> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Cell::Number(number),
        _ => Cell::OutOfRange,
    }
}

fn ascii(cell: &[u8]) -> &str {
    str::from_utf8(cell).expect("a number is made of ASCII characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_texts() {
        let parse = |text: &'static str| Cell::parse(text.as_bytes(), DecimalMark::Point);
        for (text, number) in
            [("1.5", 1.5), ("-.5", -0.5), ("2.", 2.0), ("+1e3", 1e3), ("1E-2", 0.01)]
        {
            assert_eq!(parse(text), Cell::Number(number), "{text}");
        }
        assert_eq!(parse(" 7\t"), Cell::Integer(7));
        assert_eq!(parse("+7"), Cell::Integer(7));
        assert_eq!(parse("9223372036854775808"), Cell::Number(9_223_372_036_854_775_808.0));
        assert_eq!(parse("1e400"), Cell::OutOfRange);
        assert_eq!(parse("-1e400"), Cell::OutOfRange);
        assert_eq!(parse("1e-400"), Cell::Number(0.0));
        for text in [".", "-", "e5", "1e", "1e+", "inf", "0x10", "1_000", "1,5", "1.5.2", "٣"] {
            assert_eq!(parse(text), Cell::Text(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_decimal_comma_takes_the_point_s_place() {
        let parse = |text: &'static str| Cell::parse(text.as_bytes(), DecimalMark::Comma);
        assert_eq!(parse("-1,25e1"), Cell::Number(-12.5));
        assert_eq!(parse("3"), Cell::Integer(3));
        assert_eq!(parse("1.5"), Cell::Text(b"1.5"));
        assert_eq!(parse("1.234,5"), Cell::Text(b"1.234,5"));
    }

    #[test]
    fn every_marker_is_missing_and_its_like_is_not() {
        for marker in MISSING_MARKERS {
            assert_eq!(Cell::parse(marker.as_bytes(), DecimalMark::Point), Cell::Missing);
        }
        assert_eq!(Cell::parse(b" \t ", DecimalMark::Point), Cell::Missing);
        for text in ["na", "NONE", "-", "?", "Naan"] {
            assert_eq!(
                Cell::parse(text.as_bytes(), DecimalMark::Point),
                Cell::Text(text.as_bytes())
            );
        }
    }
}
