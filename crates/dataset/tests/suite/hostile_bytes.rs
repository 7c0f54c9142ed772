//! Arbitrary bytes end in a registration or in one error, never in a panic.

use std::path::Path;

use dataset::{Options, Request, TabularSource, register};
use proptest::prelude::*;

use crate::registering::fixture;
use crate::write;

/// Registers the bytes, and where that works reads every column in every form.
fn try_everything(bytes: &[u8]) -> Result<(), TestCaseError> {
    let file = write(bytes);
    let Ok(registration) = register(&file.path, &Options::default()) else { return Ok(()) };
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    for column in &registration.columns {
        let numbers = source.read(&[Request::Numbers(&column.name)]);
        prop_assert_eq!(numbers.is_ok(), column.column_type.is_numeric() || is_boolean(column));
        if let Ok(table) = source.read(&[Request::Categories(&column.name)]) {
            let (_, cells) = table.columns().next().unwrap();
            prop_assert_eq!(cells.missing() as u64, column.missing);
            prop_assert_eq!(table.rows() as u64, registration.rows);
        }
    }
    Ok(())
}

fn is_boolean(column: &dataset::registration::RegisteredColumn) -> bool {
    column.column_type == protocol::ColumnType::Boolean
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        try_everything(&bytes)?;
    }

    #[test]
    fn almost_tables(text in "[a1,;|\t\"\r\n. eNA+-]{0,120}") {
        try_everything(text.as_bytes())?;
    }

    #[test]
    fn tables_of_odd_cells(
        rows in prop::collection::vec(
            prop::collection::vec("|true|False|NA|[0-9]{1,4}|-?[0-9]+\\.[0-9]*|1e[0-9]{1,3}|[a-z;|]{0,3}", 3),
            0..12,
        ),
    ) {
        let text: String = rows.iter().map(|row| row.join(",") + "\n").collect();
        try_everything(format!("a,b,c\n{text}").as_bytes())?;
    }

    #[test]
    fn damaged_parquet(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = std::fs::read(fixture("from-pyarrow.parquet")).unwrap();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let file = write(&bytes);
        read_what_can_be_read(&file.path);
    }

    #[test]
    fn shortened_parquet(end in any::<prop::sample::Index>()) {
        let bytes = std::fs::read(fixture("from-pyarrow.parquet")).unwrap();
        let file = write(&bytes[..end.index(bytes.len())]);
        read_what_can_be_read(&file.path);
    }
}

/// A damaged Parquet file can still say something, even something else; it only must not panic.
fn read_what_can_be_read(path: &Path) {
    let Ok(registration) = register(path, &Options::default()) else { return };
    let mut source = TabularSource::open(path, &registration).unwrap();
    for column in &registration.columns {
        let _ = source.read(&[Request::Numbers(&column.name)]);
        let _ = source.read(&[Request::Categories(&column.name)]);
    }
}
