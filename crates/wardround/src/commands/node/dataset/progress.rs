//! How far a long reading is, for whoever watches.

use dataset::Progress;
use node::Administration;

use crate::printer::Printer;

/// Shows the progress of what is asked from now on, where a person watches.
pub(super) fn following(administration: Administration, printer: Printer) -> Administration {
    if !printer.is_watched() {
        return administration;
    }
    administration.telling(move |progress| {
        if progress.files_total > 0 {
            printer.status(&line(progress));
        }
    })
}

/// Takes the line away again.
pub(super) fn clear(printer: Printer) {
    if printer.is_watched() {
        printer.status("");
    }
}

fn line(progress: Progress) -> String {
    let Progress { files, files_total, bytes, bytes_total } = progress;
    let share = bytes.saturating_mul(100).checked_div(bytes_total).unwrap_or(100);
    format!(
        "reading: {files} of {files_total} files, {} of {}, {share} %",
        size(bytes),
        size(bytes_total)
    )
}

/// A number of bytes for people.
pub(in crate::commands::node) fn size(bytes: u64) -> String {
    let mut unit = (1_u64, "bytes");
    for (power, name) in [(10, "KiB"), (20, "MiB"), (30, "GiB"), (40, "TiB")] {
        if bytes >> power > 0 {
            unit = (1 << power, name);
        }
    }
    match unit {
        (1, name) => format!("{bytes} {name}"),
        (factor, name) => {
            let tenths = u128::from(bytes) * 10 / u128::from(factor);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_the_reading_is() {
        let progress =
            Progress { files: 3, files_total: 12, bytes: 1_572_864, bytes_total: 6 << 20 };
        assert_eq!(line(progress), "reading: 3 of 12 files, 1.5 MiB of 6.0 MiB, 25 %");
        assert_eq!(line(Progress::default()), "reading: 0 of 0 files, 0 bytes of 0 bytes, 100 %");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }
}
