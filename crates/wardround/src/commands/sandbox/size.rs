//! Sizes in bytes, as they are typed and shown.

/// Reads `512`, `64KiB`, `256MiB` or `4GiB`; `K`, `M` and `G` are the same.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let fault = || format!("\"{text}\" is not a size such as 512MiB or 4GiB");
    let number: u64 = number.parse().map_err(|_| fault())?;
    let power = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err(fault()),
    };
    number.checked_mul(1 << power).ok_or_else(fault)
}

/// Shows a size in whole units.
pub(super) fn shown(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse("512"), Ok(512));
        assert_eq!(parse("4GiB"), Ok(4 << 30));
        assert_eq!(parse("64k"), Ok(64 << 10));
        assert!(parse("much").is_err() && parse("1XB").is_err() && parse("").is_err());
        assert!(parse("99999999999999999999GiB").is_err());
    }

    #[test]
    fn sizes_are_shown_short() {
        assert_eq!(shown(100), "100 bytes");
        assert_eq!(shown(12 << 20), "12 MiB");
        assert_eq!(shown(64 << 30), "64 GiB");
    }
}
