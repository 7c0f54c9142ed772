//! What a round reads from a registered file.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use dataset::{Error, Interrupt, Options, Request, TabularSource, register};
use protocol::{Code, ColumnType, Digest};

use crate::examples::example;
use crate::write;

#[test]
fn columns_come_in_the_order_and_form_that_was_asked_for() {
    let file = write("age;sex;weight;ok\n61;f;70,5;true\n;m;NA;false\n48; f ;81;\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let requests = [
        Request::Categories("sex"),
        Request::Numbers("weight"),
        Request::Numbers("ok"),
        Request::Categories("age"),
    ];
    let table = source.read(&requests).unwrap();
    assert_eq!(table.rows(), 3);
    let names: Vec<_> = table.columns().map(|(name, _)| name).collect();
    assert_eq!(names, ["sex", "weight", "ok", "age"]);
    let weight = table.numbers("weight").unwrap();
    assert_eq!((weight[0], weight[1].is_nan(), weight[2]), (70.5, true, 81.0));
    assert_eq!(table.numbers("ok").unwrap()[..2], [1.0, 0.0]);
    let sex = table.categories("sex").unwrap();
    assert_eq!(sex.values(), ["f", "m"]);
    assert!(sex.codes().eq([Some(0), Some(1), Some(0)]));
    let age = table.categories("age").unwrap();
    assert!(age.codes().eq([Some(0), None, Some(1)]));
    assert_eq!(table.complete_rows(), [0]);
    assert_eq!(table.columns().map(|(_, column)| column.missing()).sum::<usize>(), 3);
    assert!(table.groups().is_none());
    // Reading does not use the source up.
    assert_eq!(source.read(&requests).unwrap().complete_rows(), [0]);
}

#[test]
fn rows_are_taken_in_the_given_order() {
    let file = write("pid,n,c\n1,10,x\n2,20,y\n1,30,x\n");
    let options = Options { patient_id: Some("pid".to_owned()), ..Options::default() };
    let registration = register(&file.path, &options).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let table = source.read(&[Request::Numbers("n"), Request::Categories("c")]).unwrap();
    let taken = table.take(&[2, 1]);
    assert_eq!(taken.numbers("n").unwrap(), [30.0, 20.0]);
    assert!(taken.categories("c").unwrap().codes().eq([Some(0), Some(1)]));
    assert_eq!(taken.groups().unwrap(), [0, 1]);
    assert_eq!(taken.rows(), 2);
}

#[test]
fn rows_of_one_patient_share_a_group_and_a_row_of_nobody_has_its_own() {
    let file = write("pid,n\nA7,1\n,2\nB1,3\nA7,4\nNA,5\n");
    let options = Options { patient_id: Some("pid".to_owned()), ..Options::default() };
    let registration = register(&file.path, &options).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let table = source.read(&[Request::Numbers("n")]).unwrap();
    let groups = table.groups().unwrap();
    assert_eq!(groups[0], groups[3]);
    assert_eq!(groups.iter().collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn classes_are_places_among_the_declared_ones() {
    let file = write("n,d\n1,M\n2,B\n3,\n4,M\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let table = source.read(&[Request::Categories("d")]).unwrap();
    let classes = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        table.classes("d", &names)
    };
    assert_eq!(classes(&["B", "M"]).unwrap(), [Some(1), Some(0), None, Some(1)]);
    let error = classes(&["B"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"d\" has 2 rows with a value that is none of the declared classes, first in row 1"
    );
    assert_eq!(error.code(), Code::DataInvalid);
}

#[test]
fn integers_can_be_classes() {
    let file = write("n,d\n1,0\n2,1\n3,1\n4,0\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let table = source.read(&[Request::Categories("d")]).unwrap();
    let classes = table.classes("d", &["0".to_owned(), "1".to_owned()]).unwrap();
    assert_eq!(classes, [Some(0), Some(1), Some(1), Some(0)]);
}

#[test]
fn hidden_and_unknown_columns_and_texts_as_numbers_are_refused() {
    let file = write("pid,name,sex,n\n1,Ann,f,3\n2,Bob,m,4\n3,Cid,f,4\n4,Dan,m,4\n");
    let options = Options {
        patient_id: Some("pid".to_owned()),
        withheld: vec!["name".to_owned()],
        ..Options::default()
    };
    let registration = register(&file.path, &options).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let refused = |source: &mut TabularSource<'_>, request| source.read(&[request]).unwrap_err();
    let hidden = refused(&mut source, Request::Numbers("pid"));
    assert_eq!(
        hidden.to_string(),
        "column \"pid\" is withheld by the owner or identifies patients"
    );
    assert!(matches!(refused(&mut source, Request::Categories("name")), Error::HiddenColumn(_)));
    assert!(matches!(refused(&mut source, Request::Numbers("ags")), Error::UnknownColumn(_)));
    assert!(matches!(
        refused(&mut source, Request::Numbers("sex")),
        Error::NotNumeric { column_type: ColumnType::Category, .. }
    ));
    let table = source.read(&[Request::Numbers("n")]).unwrap();
    assert!(matches!(table.categories("n"), Err(Error::NotRead(_))));
    assert!(matches!(table.numbers("sex"), Err(Error::NotRead(_))));
}

#[test]
fn a_changed_file_gives_no_row_whatever_the_change() {
    let before = "a,b\n1,2\n3,4\n";
    let file = write(before);
    let registration = register(&file.path, &Options::default()).unwrap();
    // Another size; another number; a text; a ragged row; bytes that are no text; two columns in place of one.
    let others: [&[u8]; 6] = [
        b"a,b\n1,2\n",
        b"a,b\n1,2\n3,5\n",
        b"a,b\n1,2\nx,4\n",
        b"a,b\n1,2\n3 4\n",
        b"a,b\n1,2\n\xff,4\n",
        b"a,b,1\n2,34\n",
    ];
    for bytes in others {
        std::fs::write(&file.path, bytes).unwrap();
        let read = TabularSource::open(&file.path, &registration)
            .and_then(|mut source| source.read(&[Request::Numbers("a")]));
        let error = read.unwrap_err();
        assert!(matches!(error, Error::Changed), "{error}");
        assert_eq!(error.to_string(), "the file has changed since it was registered");
        assert_eq!(error.code(), Code::DataInvalid);
    }
    std::fs::write(&file.path, before).unwrap();
    TabularSource::open(&file.path, &registration).unwrap().read(&[]).unwrap();
}

#[test]
fn what_is_read_never_prints_a_cell() {
    let file = write("n,c\n74239,canary-1\n74239,canary-1\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let table = source.read(&[Request::Numbers("n"), Request::Categories("c")]).unwrap();
    let columns: Vec<_> = table.columns().collect();
    let printed = format!("{table:?} {columns:?} {source:?}");
    assert!(!printed.contains("canary") && !printed.contains("74239"), "{printed}");
}

#[test]
fn the_example_s_numbers_are_those_of_its_text() {
    let path = example("north.csv");
    let registration = register(&path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&path, &registration).unwrap();
    let table =
        source.read(&[Request::Numbers("area_worst"), Request::Categories("diagnosis")]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let place = header.iter().position(|name| *name == "area_worst").unwrap();
    let rows: Vec<_> = lines.collect();
    let numbers: Vec<f64> = rows.iter().map(|row| row[place].parse().unwrap()).collect();
    assert_eq!(table.numbers("area_worst").unwrap(), numbers);
    let classes = table.classes("diagnosis", &["B".to_owned(), "M".to_owned()]).unwrap();
    assert!(classes.iter().zip(&rows).all(|(class, row)| *class == Some(u32::from(row[0] == "M"))));
}

#[test]
fn a_file_that_was_registered_with_an_unclosed_quote_is_invalid_now() {
    let text = "a,b\n1,\"x\n2,y\n";
    let file = write(text);
    // As a version without this rule registered it.
    let good = write("a,b\n1,xyz\n2,y\n");
    let mut registration = register(&good.path, &Options::default()).unwrap();
    (registration.digest, registration.size) = (Digest::of(text.as_bytes()), text.len() as u64);
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    let error = source.read(&[Request::Numbers("a")]).unwrap_err();
    assert_eq!(error.to_string(), "line 2 opens a quote that is never closed");
    assert_eq!(error.code(), Code::DataInvalid);
    std::fs::write(&good.path, "a,b\n1,\"yz\n2,y\n").unwrap();
    let registration = register(&write("a,b\n1,xyz\n2,y\n").path, &Options::default()).unwrap();
    let error = dataset::check(&good.path, &registration).unwrap_err();
    assert_eq!(error.to_string(), "line 2 opens a quote that is never closed");
}

#[test]
fn reading_ends_where_it_is_interrupted() {
    let file = write(format!("a,b\n{}", "1.25,2.5\n".repeat(200_000)));
    let registration = register(&file.path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap();
    for last in 1..=5 {
        let mut asked = 0;
        let mut goes_on = || {
            asked += 1;
            if asked < last { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let requests = [Request::Numbers("a"), Request::Numbers("b")];
        let read = source.read_interruptibly(&requests, &mut Interrupt::by(&mut goes_on));
        assert!(matches!(read, Err(Error::Interrupted)), "{read:?}");
        assert_eq!(read.unwrap_err().code(), Code::Cancelled);
    }
    assert_eq!(source.read(&[Request::Numbers("b")]).unwrap().rows(), 200_000);
}
