//! What is detected about a text file, and what can be stated instead.

use dataset::format::{DecimalMark, Delimiter, Dialect, FormatName, Header};
use dataset::{Format, Options, Registration, register};
use protocol::ColumnType;

use crate::{refused, registered, write};

#[test]
fn each_delimiter_is_detected() {
    for (delimiter, byte) in [
        (Delimiter::Comma, ','),
        (Delimiter::Semicolon, ';'),
        (Delimiter::Tab, '\t'),
        (Delimiter::Pipe, '|'),
    ] {
        let text = format!("age{byte}weight{byte}sex\n61{byte}70.5{byte}f\n48{byte}81{byte}m\n");
        let registration = registered(text).unwrap();
        assert_eq!(dialect(&registration).delimiter, delimiter);
        assert_eq!(names(&registration), ["age", "weight", "sex"]);
        assert_eq!(registration.rows, 2);
    }
}

#[test]
fn a_delimiter_inside_quotes_does_not_count() {
    let text = "name,note\n\"a;b\",\"c;d\"\n\"e;f\",\"g\nh\"\"i\"\n";
    let registration = registered(text).unwrap();
    assert_eq!(dialect(&registration).delimiter, Delimiter::Comma);
    assert_eq!(registration.rows, 2);
}

#[test]
fn a_table_of_one_column_needs_no_delimiter() {
    let registration = registered("age\n61\n48\n").unwrap();
    assert_eq!(names(&registration), ["age"]);
    assert_eq!(registration.columns[0].column_type, ColumnType::Integer);
}

#[test]
fn a_decimal_comma_is_detected() {
    for text in ["a;b\n1,5;2\n2,25;3\n", "a\tb\n1,5\t2\n", "a\n1,5\n2,5\n"] {
        let registration = registered(text).unwrap();
        assert_eq!(dialect(&registration).decimal, DecimalMark::Comma, "{text:?}");
        assert_eq!(registration.columns[0].column_type, ColumnType::Number, "{text:?}");
    }
    for text in ["a,b\n1,5\n2,5\n", "a;b\n1.5;2\n2.5;1,5\n", "a;b\n1;2\n"] {
        assert_eq!(dialect(&registered(text).unwrap()).decimal, DecimalMark::Point, "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    let registration = registered("\u{feff}age,sex\n61,f\n48,m\n").unwrap();
    assert!(dialect(&registration).byte_order_mark);
    assert_eq!(names(&registration), ["age", "sex"]);
    let registration = registered("\u{feff}\"age\",sex\n61,f\n48,m\n").unwrap();
    assert_eq!(names(&registration), ["age", "sex"]);
}

#[test]
fn a_header_is_detected() {
    for text in ["a,b\n1,2\n", "a,b\nx,y\n", "0,1,2\n5,5,5\n", "1,2\n7,8\n"] {
        let registration = registered(text).unwrap();
        assert_eq!(dialect(&registration).header, Header::Present, "{text:?}");
    }
    let registration = registered("weight,2019\n1.5,1\n2.5,2\n").unwrap();
    assert_eq!(names(&registration), ["weight", "2019"]);
}

#[test]
fn a_table_without_header_gets_numbered_names() {
    let registration = registered("61,f\n48,m\n").unwrap();
    assert_eq!(dialect(&registration).header, Header::Absent);
    assert_eq!(names(&registration), ["column_1", "column_2"]);
    assert_eq!(registration.rows, 2);
}

#[test]
fn a_column_without_a_name_is_named_after_its_place() {
    assert_eq!(names(&registered(",a, \n0,1,2\n1,2,3\n").unwrap()), ["column_1", "a", "column_3"]);
}

#[test]
fn what_is_stated_is_not_detected() {
    let options = Options {
        delimiter: Some(Delimiter::Comma),
        header: Some(Header::Absent),
        decimal: Some(DecimalMark::Comma),
        format: Some(FormatName::Delimited),
        ..Options::default()
    };
    let file = write("a;b,\"1,5\"\nc;d,\"2,5\"\n");
    let registration = register(&file.path, &options).unwrap();
    assert_eq!(names(&registration), ["column_1", "column_2"]);
    assert_eq!(registration.columns[1].column_type, ColumnType::Number);
    assert_eq!(registration.rows, 2);
}

#[test]
fn every_line_end_ends_a_row() {
    for end in ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"] {
        for last in ["", end] {
            let registration = registered(format!("a,b{end}1,2{end}3,4{last}")).unwrap();
            assert_eq!(registration.rows, 2, "{end:?} {last:?}");
            assert_eq!(
                registration.columns[1].column_type,
                ColumnType::Integer,
                "{end:?} {last:?}"
            );
        }
    }
}

#[test]
fn text_in_utf_16_is_named() {
    let bytes: Vec<u8> = "\u{feff}a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(refused(bytes), "the file is neither text in UTF-8 nor Parquet: it is UTF-16");
}

#[test]
fn a_sample_that_ends_inside_a_row_misleads_nobody() {
    // Wider than the sample: the last row of the sample is cut, and its cells are fewer.
    let mut text = String::from("a;b;c\n");
    while text.len() < 5 << 20 {
        text.push_str("1,5;2,5;some words that take some room\n");
    }
    let registration = registered(text).unwrap();
    assert_eq!(dialect(&registration).delimiter, Delimiter::Semicolon);
    assert_eq!(dialect(&registration).decimal, DecimalMark::Comma);
}

fn dialect(registration: &Registration) -> Dialect {
    match registration.format {
        Format::Delimited(dialect) => dialect,
        Format::Parquet => panic!("the file is text"),
    }
}

fn names(registration: &Registration) -> Vec<&str> {
    registration.columns.iter().map(|column| column.name.as_str()).collect()
}
