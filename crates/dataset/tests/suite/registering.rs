//! What a registration says, what of it may be shown, and how a change is noticed.

use std::path::{Path, PathBuf};

use dataset::{Check, Options, Presentation, Registration, check, register, summarize};
use protocol::{ColumnType, Digest};

use crate::{registered, write};

#[test]
fn each_type_is_the_narrowest_that_all_cells_have() {
    let text = "i,n,big,b,c,t,void,mixed\n\
        1,1.5,9223372036854775808,true,x,p,,1\n\
        -2,2,1,FALSE,y,q,NA,2\n\
        +3,,2,True,x,r,null,x\n\
        NA,1e3,3,NaN,y,s,,3\n\
        5,4,4,false,x,t,N/A,x\n";
    let registration = registered(text).unwrap();
    let types: Vec<_> = registration
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.column_type.as_str(), column.missing))
        .collect();
    assert_eq!(
        types,
        [
            ("i", "integer", 1),
            ("n", "number", 1),
            ("big", "number", 0),
            ("b", "boolean", 1),
            ("c", "category", 0),
            ("t", "text", 0),
            ("void", "text", 5),
            ("mixed", "text", 0),
        ]
    );
    let strays: Vec<_> = registration.columns.iter().map(|column| column.strays).collect();
    assert_eq!(strays, [0, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn many_distinct_texts_are_no_category() {
    let rows = |distinct: usize| {
        (0..1000).map(|row| format!("{row},v{}\n", row % distinct)).collect::<String>()
    };
    let column_type = |distinct| {
        registered(format!("id,value\n{}", rows(distinct))).unwrap().columns[1].column_type
    };
    assert_eq!(column_type(128), ColumnType::Category);
    assert_eq!(column_type(129), ColumnType::Text);
}

#[test]
fn a_registration_names_the_bytes() {
    let text = "a,b\n1,2\n";
    let registration = registered(text).unwrap();
    assert_eq!(registration.digest, Digest::of(text.as_bytes()));
    assert_eq!(registration.size, 8);
    assert!(registration.modified.is_some());
}

#[test]
fn a_registration_survives_json() {
    let options = Options { patient_id: Some("a".to_owned()), ..Options::default() };
    let registration = register(&write("a;b\n1;2,5\n").path, &options).unwrap();
    let json = serde_json::to_string(&registration).unwrap();
    assert_eq!(serde_json::from_str::<Registration>(&json).unwrap(), registration);
    let parquet = register(&fixture("from-pyarrow.parquet"), &Options::default()).unwrap();
    let json = serde_json::to_string(&parquet).unwrap();
    assert_eq!(serde_json::from_str::<Registration>(&json).unwrap(), parquet);
}

#[test]
fn a_summary_leaves_out_what_is_withheld_and_who_the_patients_are() {
    let options = Options {
        patient_id: Some("pid".to_owned()),
        withheld: vec!["name".to_owned()],
        ..Options::default()
    };
    let text = format!("pid,age,name,sex\n{}", "7,61,Ann,f\n,,Bob,\n".repeat(10));
    let registration = register(&write(text).path, &options).unwrap();
    let summary = summarize(&registration.clone().into(), None, presentation(), 20);
    let columns: Vec<_> = summary.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["age", "sex"]);
    assert_eq!(summary.columns[0].missing, Some(10));
    assert_eq!(summary.row_count, Some(20));
    let json = serde_json::to_string(&summary).unwrap();
    assert!(!json.contains("pid") && !json.contains("Ann"), "{json}");
    assert!(
        !json.contains("sha256") && !json.contains(&registration.digest.hexadecimal()),
        "{json}"
    );
}

#[test]
fn a_summary_of_few_rows_tells_no_number_of_them() {
    let registration = registered(format!("age,sex\n{}", "61,f\n,\n".repeat(10))).unwrap();
    let summary = summarize(&registration.into(), None, presentation(), 21);
    assert_eq!(summary.row_count, None);
    assert!(summary.columns.iter().all(|column| column.missing.is_none()));
    let json = serde_json::to_string(&summary).unwrap();
    assert!(!json.contains("10") && !json.contains("20"), "{json}");
}

#[test]
fn an_unchanged_file_is_unchanged_even_if_it_was_written_again() {
    let file = write("a,b\n1,2\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    std::fs::write(&file.path, "a,b\n1,2\n").unwrap();
    assert_eq!(check(&file.path, &registration).unwrap(), Check::Unchanged);
}

#[test]
fn a_change_is_told_by_columns_and_rows() {
    let file = write("a,b,c\n1,2,3\n4,5,6\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    std::fs::write(&file.path, "a,b,d\n1,2.5,3\n").unwrap();
    let Check::Changed(change) = check(&file.path, &registration).unwrap() else {
        panic!("the file has changed");
    };
    assert_eq!((change.rows_before, change.registration.rows), (2, 1));
    assert_eq!((change.added, change.removed), (vec!["d".to_owned()], vec!["c".to_owned()]));
    assert_eq!(change.retyped.len(), 1);
    assert_eq!(change.retyped[0].column, "b");
    assert_eq!(change.retyped[0].now, ColumnType::Number);
    assert_eq!(check(&file.path, &change.registration).unwrap(), Check::Unchanged);
}

#[test]
fn a_change_of_one_cell_is_noticed_at_the_same_size() {
    let file = write("a,b\n1,2\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    std::fs::write(&file.path, "a,b\n1,3\n").unwrap();
    assert!(matches!(check(&file.path, &registration), Ok(Check::Changed(_))));
}

fn presentation() -> Presentation {
    Presentation {
        dataset_id: "0197f3a0-0000-7000-8000-000000000001".parse().unwrap(),
        name: "ward".parse().unwrap(),
        tags: vec!["breast-cancer".to_owned()],
        description: "A ward.".to_owned(),
    }
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
