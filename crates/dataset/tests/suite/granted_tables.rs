//! The granted view of a table: what is in it, what is not, and that a changed file grants nothing.

use dataset::granted::{TableGrant, table_view};
use dataset::loading_plan::attach;
use dataset::{Error, Exclusions, Interrupt, LoadingPlan, Options, register};
use protocol::ColumnType;

use crate::{fixture, write};

fn options() -> Options {
    Options {
        patient_id: Some("pid".to_owned()),
        withheld: vec!["name".to_owned()],
        ..Options::default()
    }
}

const TABLE: &str = "pid;name;age;weight;says;ok\n7;Ann;61;70,50;\"a, \"\"b\"\"\";true\n8;Bob;;1e3;;FALSE\n7;Eve;9007199254740993;-,5;x;NA\n";

#[test]
fn a_view_holds_what_may_be_read_and_nothing_else() {
    let file = write(TABLE);
    let registration = register(&file.path, &options()).unwrap();
    let grant = TableGrant {
        path: &file.path,
        registration: &registration,
        loading_plan: None,
        columns: &[],
        exclusions: Exclusions::none(),
        label: Some("says"),
    };
    let mut view = Vec::new();
    let granted = table_view(&grant, &mut view, &mut Interrupt::never()).unwrap();
    let expected = "age,weight,says,ok\n61,70.5,\"a, \"\"b\"\"\",true\n,1000.0,,false\n9007199254740993,-0.5,x,\n";
    assert_eq!(String::from_utf8(view).unwrap(), expected);
    assert_eq!(granted.rows, 3);
    assert_eq!(granted.groups, Some(vec![0, 1, 0]));
    assert_eq!(granted.labels, Some(vec![0, 1, 2]));
    let missing: Vec<_> = granted.columns.iter().map(|column| column.missing).collect();
    assert_eq!(missing, [1, 0, 1, 1]);
    assert_eq!(granted.columns[1].column_type, ColumnType::Number);
}

#[test]
fn columns_are_those_that_are_asked_for_and_rows_those_that_are_left() {
    let file = write(TABLE);
    let registration = register(&file.path, &options()).unwrap();
    let columns = ["ok".to_owned(), "age".to_owned()];
    let mut exclusions = Exclusions::default();
    exclusions.add(" 7 ").unwrap();
    let grant = TableGrant {
        path: &file.path,
        registration: &registration,
        loading_plan: None,
        columns: &columns,
        exclusions: &exclusions,
        label: None,
    };
    let mut view = Vec::new();
    let granted = table_view(&grant, &mut view, &mut Interrupt::never()).unwrap();
    assert_eq!(String::from_utf8(view).unwrap(), "ok,age\nfalse,\n");
    assert_eq!((granted.rows, granted.groups, granted.labels), (1, Some(vec![0]), None));
    assert_eq!(granted.excluded, 2);
    for (name, hidden) in [("pid", true), ("name", true), ("height", false)] {
        let columns = [name.to_owned()];
        let grant = TableGrant { columns: &columns, ..grant };
        let error = table_view(&grant, &mut Vec::new(), &mut Interrupt::never()).unwrap_err();
        assert_eq!(matches!(error, Error::HiddenColumn(_)), hidden, "{error}");
    }
}

#[test]
fn a_file_that_changed_grants_nothing() {
    let file = write(TABLE);
    let registration = register(&file.path, &options()).unwrap();
    let mut grant = TableGrant {
        path: &file.path,
        registration: &registration,
        loading_plan: None,
        columns: &[],
        exclusions: Exclusions::none(),
        label: None,
    };
    for changed in [TABLE.replace("Bob", "Rob"), TABLE.replace("61", "x!"), "a\n1\n".to_owned()] {
        std::fs::write(&file.path, changed).unwrap();
        let outcome = table_view(&grant, &mut Vec::new(), &mut Interrupt::never());
        assert!(matches!(outcome, Err(Error::Changed)), "{outcome:?}");
    }
    let missing = file.path.with_file_name("nothing");
    grant.path = &missing;
    let outcome = table_view(&grant, &mut Vec::new(), &mut Interrupt::never());
    assert!(matches!(outcome, Err(Error::Open(_))));
}

#[test]
fn a_view_is_under_the_plan() {
    let file = write(TABLE);
    let registration = register(&file.path, &options()).unwrap();
    let plan = "kind = \"table\"\nname = \"p\"\nversion = 1\n[columns]\nkg = \"weight\"\n[units.kg]\nfrom = \"kg\"\nto = \"g\"\nfactor = 1000\noffset = 1\n[categories.ok]\ntrue = 1\nfalse = 0\n";
    let plan = LoadingPlan::parse(plan).unwrap();
    let registered = registration.clone().into();
    let plan = attach(plan, &file.path, &registered, &mut Interrupt::never()).unwrap();
    let columns = ["kg".to_owned(), "ok".to_owned()];
    let grant = TableGrant {
        path: &file.path,
        registration: &registration,
        loading_plan: Some(&plan),
        columns: &columns,
        exclusions: Exclusions::none(),
        label: Some("ok"),
    };
    let mut view = Vec::new();
    let granted = table_view(&grant, &mut view, &mut Interrupt::never()).unwrap();
    let expected = "kg,ok\n70501.0,1\n1000001.0,0\n-499.0,\n";
    assert_eq!(String::from_utf8(view).unwrap(), expected);
    assert_eq!(granted.labels, Some(vec![0, 1, 2]));
}

#[test]
fn a_parquet_table_is_granted_without_what_cannot_be_read() {
    let file = write(fixture("from-pyarrow.parquet"));
    let registration = register(&file.path, &Options::default()).unwrap();
    let grant = TableGrant {
        path: &file.path,
        registration: &registration,
        loading_plan: None,
        columns: &[],
        exclusions: Exclusions::none(),
        label: None,
    };
    let mut view = Vec::new();
    let granted = table_view(&grant, &mut view, &mut Interrupt::never()).unwrap();
    assert!(granted.columns.len() < registration.columns.len(), "dates are left out");
    let text = String::from_utf8(view).unwrap();
    assert_eq!(text.lines().count() as u64, registration.rows + 1);
    // The view is a table again, and each column in it has the missing cells that it had.
    let again = register(&write(&text).path, &Options::default()).unwrap();
    for column in &again.columns {
        let known = registration.columns.iter().find(|known| known.name == column.name).unwrap();
        assert_eq!(column.missing, known.missing, "{}", column.name);
    }
}
