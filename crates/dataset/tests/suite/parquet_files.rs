//! Parquet files that pyarrow wrote, see `tests/fixtures/make_parquet.py`.

use std::ops::ControlFlow;

use dataset::{
    Check, Error, Format, Interrupt, Options, Registration, Request, TabularSource, check, register,
};

use crate::registering::fixture;
use crate::write;

#[test]
fn each_column_has_the_type_that_the_file_states() {
    let registration = registered("from-pyarrow.parquet").unwrap();
    assert_eq!(registration.format, Format::Parquet);
    assert_eq!(registration.rows, 50);
    let types: Vec<_> = registration
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.column_type.as_str(), column.missing))
        .collect();
    assert_eq!(
        types,
        [
            ("pid", "category", 0),
            ("int8", "integer", 7),
            ("int64", "integer", 7),
            ("uint32", "integer", 7),
            ("uint64", "integer", 7),
            ("float", "number", 7),
            ("double", "number", 7),
            ("nan", "number", 1),
            ("whole", "integer", 0),
            ("boolean", "boolean", 7),
            ("category", "category", 7),
            ("text", "text", 7),
            ("decimal", "number", 7),
            ("date", "text", 7),
            ("void", "number", 50),
        ]
    );
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn each_cell_is_what_was_written() {
    let options = Options { patient_id: Some("pid".to_owned()), ..Options::default() };
    let path = fixture("from-pyarrow.parquet");
    let registration = register(&path, &options).unwrap();
    let mut source = TabularSource::open(&path, &registration).unwrap();
    let names =
        ["int8", "int64", "uint32", "uint64", "float", "double", "whole", "boolean", "decimal"];
    let table = source.read(&names.map(Request::Numbers)).unwrap();
    let expected = |name: &str, row: usize| {
        let place = row as f64;
        match name {
            "int8" => place - 25.0,
            "int64" => place * 1e12,
            "uint32" => 4_294_967_295.0 - place,
            "uint64" => (u64::MAX - row as u64) as f64,
            "float" => place / 4.0,
            "double" => place / 10.0,
            "whole" => place,
            "boolean" => f64::from(u8::from(row.is_multiple_of(3))),
            _ => (place - 25.0) / 100.0,
        }
    };
    for name in names {
        for (row, &number) in table.numbers(name).unwrap().iter().enumerate() {
            if row % 7 == 3 && name != "whole" {
                assert!(number.is_nan(), "{name}, row {row}");
            } else {
                assert_eq!(number, expected(name, row), "{name}, row {row}");
            }
        }
    }
    let pairs: Vec<u32> = (0..50).map(|row| row / 2).collect();
    assert_eq!(table.groups().unwrap(), pairs);
}

#[test]
fn texts_numbers_and_booleans_can_be_categories() {
    let registration = registered("from-pyarrow.parquet").unwrap();
    let path = fixture("from-pyarrow.parquet");
    let mut source = TabularSource::open(&path, &registration).unwrap();
    let names = ["category", "text", "boolean", "whole", "double"];
    let table = source.read(&names.map(Request::Categories)).unwrap();
    assert_eq!(table.categories("category").unwrap().values(), ["B", "M"]);
    assert_eq!(table.categories("text").unwrap().values()[1], "note 1");
    assert_eq!(table.categories("boolean").unwrap().values(), ["true", "false"]);
    assert_eq!(table.categories("whole").unwrap().values()[..3], ["0", "1", "2"]);
    assert_eq!(table.categories("double").unwrap().values()[..3], ["0", "0.1", "0.2"]);
    assert_eq!(table.categories("text").unwrap().codes().nth(3), Some(None));
}

#[test]
fn dates_cannot_be_read() {
    let registration = registered("from-pyarrow.parquet").unwrap();
    let path = fixture("from-pyarrow.parquet");
    let mut source = TabularSource::open(&path, &registration).unwrap();
    let error = source.read(&[Request::Categories("date")]).unwrap_err();
    assert_eq!(error.to_string(), "column \"date\" holds dates, which cannot be read");
}

#[test]
fn gzip_and_the_second_version_of_pages_are_read() {
    let registration = registered("gzip.parquet").unwrap();
    let path = fixture("gzip.parquet");
    let mut source = TabularSource::open(&path, &registration).unwrap();
    let table = source.read(&[Request::Numbers("a")]).unwrap();
    assert_eq!(table.numbers("a").unwrap(), [1.0, 2.0]);
}

#[test]
fn what_is_not_read_is_named() {
    let error = registered("zstd.parquet").unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"a\" is compressed with zstd, only Snappy, gzip and none can be read"
    );
    let error = registered("nested.parquet").unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"a.list.element\" is nested, only flat columns can be read"
    );
    let error = crate::refused(b"PAR1 and nothing that should follow");
    assert_eq!(error, "the file is not well-formed Parquet");
}

#[test]
fn a_changed_file_gives_no_row() {
    let mut bytes = std::fs::read(fixture("from-pyarrow.parquet")).unwrap();
    let file = write(&bytes);
    let registration = register(&file.path, &Options::default()).unwrap();
    assert_eq!(check(&file.path, &registration).unwrap(), Check::Unchanged);
    bytes[100] ^= 1;
    std::fs::write(&file.path, &bytes).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    assert!(matches!(source.read(&[Request::Numbers("whole")]), Err(Error::Changed)));
}

fn registered(name: &str) -> Result<Registration, Error> {
    register(&fixture(name), &Options::default())
}

/// Between hashing and reading another program writes to the file, in place and with the same size.
#[test]
fn what_is_read_is_what_was_hashed() {
    let before = std::fs::read(fixture("from-pyarrow.parquet")).unwrap();
    let after: Vec<u8> = before.iter().map(|byte| byte ^ 0x55).collect();
    let file = write(&before);
    let registration = register(&file.path, &Options::default()).unwrap();
    let requests = ["int64", "float", "double", "whole", "boolean"].map(Request::Numbers);
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    // A missing cell is no number and equals nothing, so bits are compared.
    let bits = |table: &dataset::Table| -> Vec<u64> {
        let cells = requests.iter().flat_map(|request| table.numbers(request.column()).unwrap());
        cells.map(|cell| cell.to_bits()).collect()
    };
    let expected = bits(&source.read(&requests).unwrap());
    let mut noticed = Vec::new();
    for moment in 1.. {
        std::fs::write(&file.path, &before).unwrap();
        let mut asked = 0;
        let mut rewrite = || {
            asked += 1;
            if asked == moment {
                std::fs::write(&file.path, &after).unwrap();
            }
            ControlFlow::Continue(())
        };
        let read = source.read_interruptibly(&requests, &mut Interrupt::by(&mut rewrite));
        match read {
            Ok(table) => assert_eq!(bits(&table), expected, "moment {moment}"),
            Err(error) => {
                assert!(matches!(error, Error::Changed), "moment {moment}: {error}");
                noticed.push(moment);
            }
        }
        if asked < moment {
            break;
        }
    }
    // Once before hashing, then in each column, whose pages are not all read at its first cell.
    assert_eq!(noticed, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn reading_ends_where_it_is_interrupted() {
    let path = fixture("from-pyarrow.parquet");
    let registration = register(&path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&path, &registration).unwrap();
    for last in 1..=3 {
        let mut asked = 0;
        let mut goes_on = || {
            asked += 1;
            if asked < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let requests = ["int64", "float"].map(Request::Numbers);
        let read = source.read_interruptibly(&requests, &mut Interrupt::by(&mut goes_on));
        assert!(matches!(read, Err(Error::Interrupted)), "{read:?}");
    }
}
