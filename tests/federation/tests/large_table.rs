//! A table that is much larger than what a node may occupy for it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use federation::Federation;

#[test]
fn a_large_table_is_registered_in_bounded_memory() {
    let mut federation = Federation::of(&["north"]);
    let hospital = federation.hospital("north");
    let before = hospital.daemon().peak_resident_bytes();
    let table = hospital.home().join("laboratory.csv");
    let rows = write_table(&table);
    let size = std::fs::metadata(&table).expect("the table was written").len();
    let path = table.to_string_lossy();
    let add = ["node", "dataset", "add", &path, "--name", "laboratory", "--patient-id", "patient"];
    let added = hospital.document(&add);
    assert_eq!(added["rows"], rows, "{added}");
    let grown = hospital.daemon().peak_resident_bytes() - before;
    assert!(size > 8 * MOST_GROWTH, "the table has {size} bytes, too few to show anything");
    assert!(grown < MOST_GROWTH, "the node grew by {grown} bytes for {size}");
}

/// Writes rows of a patient, 20 measurements and a diagnosis; gives how many.
fn write_table(path: &Path) -> u64 {
    let file = File::create(path).expect("the table can be made");
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let names: Vec<String> = (0..MEASUREMENTS).map(|index| format!("laboratory_{index}")).collect();
    writeln!(file, "patient,{},diagnosis", names.join(",")).expect("the table can be written");
    let mut row = String::new();
    for patient in 0..ROWS {
        row.clear();
        write!(row, "p{patient:09}").expect("a text takes everything");
        for measurement in 0..MEASUREMENTS {
            let number = (patient * 31 + measurement * 7_919) * 7_368_787 % 1_000_003;
            write!(row, ",{}.{:06}", number % 300, number % 1_000_000)
                .expect("a text takes everything");
        }
        let diagnosis = if patient % 3 == 0 { "M" } else { "B" };
        writeln!(file, "{row},{diagnosis}").expect("the table can be written");
    }
    file.flush().expect("the table can be written");
    ROWS
}

/// Makes about 150 MB.
const ROWS: u64 = 650_000;
const MEASUREMENTS: u64 = 20;

/// Buffers of readers, and what the node needs to answer; a table that is kept, or patients that are remembered,
/// would need a multiple.
const MOST_GROWTH: u64 = 16 << 20;
