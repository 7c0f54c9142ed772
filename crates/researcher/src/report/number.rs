//! Numbers as people read them.

use protocol::Timestamp;

/// A measured value with four decimals, or four significant digits where that says more.
pub(super) fn value(number: f64) -> String {
    let magnitude = number.abs();
    if number == 0.0 || (0.001..10_000.0).contains(&magnitude) {
        tidy(&format!("{number:.4}"))
    } else {
        format!("{number:.3e}")
    }
}

/// A value, or a dash where there is none.
pub(super) fn maybe(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), value)
}

/// A tick's label: as many decimals as the step between ticks needs.
pub(super) fn tick(number: f64, step: f64) -> String {
    if number != 0.0 && !(1e-4..1e6).contains(&number.abs().max(step)) {
        return format!("{number:.1e}");
    }
    let decimals = (0..6).find(|decimals| is_whole(step * 10_f64.powi(*decimals))).unwrap_or(6);
    let decimals = usize::try_from(decimals).unwrap_or(6);
    tidy(&format!("{number:.decimals$}"))
}

/// A count with thin spaces between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration between two instants.
pub(super) fn elapsed(from: Timestamp, to: Timestamp) -> String {
    let milliseconds = from.until(to).as_millis();
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

/// Writes a true minus, and no minus before a zero.
fn tidy(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|digit| "0.".contains(digit)) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text.to_owned(),
    }
}

fn is_whole(number: f64) -> bool {
    (number - number.round()).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_say_what_they_are() {
        assert_eq!(value(0.974_561), "0.9746");
        assert_eq!(value(-1.5), "−1.5000");
        assert_eq!(value(-0.000_0), "0.0000");
        assert_eq!(value(1e-9), "1.000e-9");
        assert_eq!(maybe(None), "–");
        assert_eq!(tick(0.25, 0.05), "0.25");
        assert_eq!(tick(20.0, 5.0), "20");
        assert_eq!(tick(-0.0, 0.1), "0.0");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
        let start = Timestamp::from_milliseconds(1_000);
        assert_eq!(elapsed(start, Timestamp::from_milliseconds(3_450)), "2.4 s");
    }
}
