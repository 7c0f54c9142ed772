//! Each broken file ends in one error that says where and which rule, and never what a cell holds.

use dataset::{Options, register};
use protocol::Code;

use crate::{refused, registered, write};

#[test]
fn a_file_without_rows_is_refused() {
    assert_eq!(refused(""), "the file is empty");
    assert_eq!(refused("\n\r\n\n"), "the file is empty");
    assert_eq!(refused("\u{feff}"), "the file is empty");
    assert_eq!(refused("a,b\n"), "the file has a header and no rows");
    assert_eq!(refused("a"), "the file has a header and no rows");
}

#[test]
fn a_ragged_row_is_named_by_its_line() {
    let text = "a,b\n1,2\n\n\"x\ny\",2\n7\n";
    assert_eq!(refused(text), "line 6 has 1 cells, the first row has 2");
    assert_eq!(refused("a,b\r\n1,2\r\n1,2,3\r\n"), "line 3 has 3 cells, the first row has 2");
}

#[test]
fn a_cell_that_is_not_utf_8_is_named_by_line_and_column() {
    assert_eq!(refused(b"a,b\n1,x\n2,\xff\n"), "line 3, column \"b\": the cell is not UTF-8");
    assert_eq!(refused(b"a,\xe9\n1,2\n"), "the name of column 2 is not UTF-8");
    // Two halves of one character on both sides of a delimiter.
    assert_eq!(refused(b"a,b\n\xc3,\xa9\n"), "line 2, column \"a\": the cell is not UTF-8");
}

#[test]
fn a_zero_byte_is_no_text() {
    let error = refused(b"a,b\n1,\x002\n");
    assert_eq!(error, "the file is neither text in UTF-8 nor Parquet: it holds a zero byte");
}

#[test]
fn two_columns_of_one_name_are_refused() {
    assert_eq!(refused("a,b, a \n1,2,3\n"), "columns 1 and 3 have the same name, \"a\"");
    assert_eq!(refused("a,,column_2\n1,2,3\n"), "columns 2 and 3 have the same name, \"column_2\"");
}

#[test]
fn a_number_beyond_the_range_is_named_by_line_and_column() {
    let beyond = "line 3, column \"a\": the number is beyond the range of a 64-bit float";
    assert_eq!(refused("a,b\n1,2\n1e400,2\n"), beyond);
    // In a column of texts it is a text.
    registered("a,b\nx,2\n1e400,2\n").unwrap();
}

#[test]
fn a_quote_that_is_never_closed_is_named_by_its_line() {
    let unclosed = |line| format!("line {line} opens a quote that is never closed");
    assert_eq!(refused("a,b\n1,x\n\n2,\"y\n3,z\n4,z\n"), unclosed(4));
    assert_eq!(refused("a\tb\r\n1\tx\r\n\"2\ty\r\n3\tz\r\n"), unclosed(3));
    assert_eq!(refused("\u{feff}a;b\n1;\"x\n2;y"), unclosed(2));
    assert_eq!(refused("a,b\n1,\"x\ny\",2\n"), "line 2 has 3 cells, the first row has 2");
    assert_eq!(refused("a,\"b\n1,x\n2,y\n"), unclosed(1));
    assert_eq!(refused("a,b\n1,\""), unclosed(2));
    assert_eq!(refused("a,b\n1,\"x\"\"\n2,y\n"), unclosed(2));
    // The quotes of the rows below would close it and open others.
    let continued =
        |line| format!("line {line} opens a quote whose cell goes on after the closing quote");
    assert_eq!(refused("a,b\n1,\"x\n2,\"y\"\n3,\"z\"\n"), continued(2));
    assert_eq!(refused("a,b\n1,\"x\"y\n2,z\n"), continued(2));
    let far = format!("a,b\n1,\"x\n{}2,\"y\"\n", "3,4\n".repeat(100_000));
    assert_eq!(refused(far), continued(2));
    let error = registered("a,b\n1,\"x\n").unwrap_err();
    assert_eq!(error.code(), Code::DataInvalid);
    assert!(error.hint().is_some());
}

#[test]
fn quotes_that_are_closed_are_no_fault() {
    let text = "a,b\n\"1\",\"x, \"\"y\"\"\nz\"\n\"2\" ,in\"ner\n3,\"\"\n4,\"\"\"\"\r\n5,\"end\"";
    assert_eq!(registered(text).unwrap().rows, 5);
    let long = format!("a,b\n{}", "1,\"x\ny\"\n".repeat(200_000));
    assert_eq!(registered(long).unwrap().rows, 200_000);
}

#[test]
fn a_quote_that_is_never_closed_does_not_take_the_memory() {
    let mut text = b"a,b\n1,\"".to_vec();
    text.resize(40 << 20, b'x');
    assert_eq!(refused(text), "line 2 opens a quote that is never closed");
    let mut text = b"a,b\n1,".to_vec();
    text.resize(40 << 20, b'x');
    assert_eq!(refused(text), "line 2 exceeds the limit of 16777216 bytes in a row");
}

#[test]
fn too_wide_a_table_and_too_long_a_cell_are_refused() {
    let wide = |columns: usize| {
        let names: Vec<_> = (0..columns).map(|column| format!("c{column}")).collect();
        let cells = vec!["1"; columns];
        format!("{}\n{}\n", names.join(","), cells.join(","))
    };
    assert_eq!(registered(wide(20_000)).unwrap().columns.len(), 20_000);
    assert_eq!(refused(wide(20_001)), "line 1 exceeds the limit of 20000 columns");
    let long = |bytes| format!("a,b\n1,{}\n", "x".repeat(bytes));
    registered(long(1 << 20)).unwrap();
    assert_eq!(refused(long((1 << 20) + 1)), "line 2 exceeds the limit of 1048576 bytes in a cell");
}

#[test]
fn a_path_that_leads_to_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = register(folder.path(), &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "the path does not lead to a regular file");
    assert_eq!(error.code(), Code::DataUnavailable);
    let error = register(&folder.path().join("absent"), &Options::default()).unwrap_err();
    assert_eq!(error.to_string(), "the file cannot be opened");
    assert_eq!(error.code(), Code::DataUnavailable);
}

#[test]
fn a_column_that_the_options_name_must_be_there() {
    let file = write("a,b\n1,2\n");
    let patient = Options { patient_id: Some("pid".to_owned()), ..Options::default() };
    let withheld = Options { withheld: vec!["pid".to_owned()], ..Options::default() };
    for options in [patient, withheld] {
        let error = register(&file.path, &options).unwrap_err();
        assert_eq!(error.to_string(), "column \"pid\" is not in the file");
    }
}

#[test]
fn no_error_of_a_broken_file_holds_a_cell() {
    const CANARY: &str = "canary-7423";
    for text in [
        format!("a,b\n1,2\n{CANARY}\n"),
        format!("a,b\n1,2\n{CANARY},1,{CANARY}\n"),
        format!("a,b\n{CANARY},\u{0}\n"),
        format!("a,b\n1,\"{CANARY}{}\n", "x".repeat(2 << 20)),
        format!("a,b\n1,\"{CANARY}\n2,{CANARY}\n"),
        format!("a,\"b\n1,{CANARY}\n2,{CANARY}\n"),
        format!("a,b\n1,\"2\"{CANARY}\n"),
    ] {
        let error = registered(text).unwrap_err();
        let told = format!("{error} {error:?} {:?}", error.hint());
        assert!(!told.contains("canary"), "{told}");
    }
    let registration = registered(format!("a,b\n1,{CANARY}\n2,{CANARY}\n")).unwrap();
    assert!(!format!("{registration:?}").contains("canary"));
}
