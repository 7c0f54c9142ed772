//! Patients who withdrew: what is theirs is in nothing that a round reads.

use dataset::granted::{FolderGrant, folder_manifest};
use dataset::{
    Error, Exclusions, Interrupt, Kind, LoadingPlan, Options, Registered, Request, TabularSource,
    loading_plan, register,
};
use proptest::prelude::*;

use crate::medical_folders::{ward, whole};
use crate::{Laid, fixture, write};

fn of(patients: &[&str]) -> Exclusions {
    let mut exclusions = Exclusions::default();
    for patient in patients {
        exclusions.add(patient).unwrap();
    }
    exclusions
}

fn options() -> Options {
    Options { patient_id: Some("pid".to_owned()), ..Options::default() }
}

proptest! {
    #[test]
    fn a_table_is_read_as_if_the_rows_of_the_patients_had_never_been_in_it(
        patients in proptest::collection::vec(0..6_u8, 1..30),
        excluded in proptest::collection::btree_set(0..8_u8, 1..4),
    ) {
        prop_assume!(patients.iter().any(|patient| !excluded.contains(patient)));
        let row = |(row, patient): (usize, &u8)| format!("P{patient};{row},5;c{}\n", row % 3);
        let all: String = patients.iter().enumerate().map(row).collect();
        let left = patients.iter().enumerate().filter(|(_, patient)| !excluded.contains(patient));
        let left: String = left.map(row).collect();
        let header = "pid;age;kind\n";
        let names: Vec<String> = excluded.iter().map(|patient| format!("P{patient}")).collect();
        let exclusions = of(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let plan = "kind = \"table\"\nname = \"p\"\nversion = 1\n[columns]\nyears = \"age\"\n";
        for under_plan in [false, true] {
            let read = |text: &str, exclusions: &Exclusions| {
                let file = write(format!("{header}{text}"));
                let registration = register(&file.path, &options()).unwrap();
                let registered = Registered::from(registration.clone());
                let attached = under_plan.then(|| {
                    let plan = LoadingPlan::parse(plan).unwrap();
                    loading_plan::attach(plan, &file.path, &registered, &mut Interrupt::never()).unwrap()
                });
                let age = if under_plan { "years" } else { "age" };
                let mut source = TabularSource::open(&file.path, &registration).unwrap()
                    .under(attached.as_ref()).without(exclusions);
                let table = source.read(&[Request::Numbers(age), Request::Categories("kind")]).unwrap();
                let kinds = table.categories("kind").unwrap();
                let kinds: Vec<String> = kinds.codes()
                    .map(|code| kinds.values()[code.unwrap() as usize].clone()).collect();
                let mut next = 0;
                let mut known = std::collections::BTreeMap::new();
                let groups: Vec<u32> = table.groups().unwrap().iter().map(|group| {
                    *known.entry(*group).or_insert_with(|| { next += 1; next })
                }).collect();
                (table.numbers(age).unwrap().to_vec(), kinds, groups)
            };
            prop_assert_eq!(read(&all, &exclusions), read(&left, Exclusions::none()));
        }
    }
}

#[test]
fn whole_numbers_of_a_parquet_file_name_patients_as_they_are_printed() {
    let file = write(fixture("from-pyarrow.parquet"));
    let plain = register(&file.path, &Options::default()).unwrap();
    let column = plain.columns.iter().find(|column| column.column_type.as_str() == "integer");
    let name = column.expect("the fixture has whole numbers").name.clone();
    let options = Options { patient_id: Some(name), ..Options::default() };
    let registration = register(&file.path, &options).unwrap();
    let registered = Registered::from(registration.clone());
    let everybody: Vec<String> = (-1000..1000).map(|number: i32| number.to_string()).collect();
    let exclusions = of(&everybody.iter().map(String::as_str).collect::<Vec<_>>());
    let count = exclusions.count(&file.path, &registered, &mut Interrupt::never()).unwrap();
    assert!(count.samples > 0, "{count:?}");
    let mut source = TabularSource::open(&file.path, &registration).unwrap().without(&exclusions);
    let table = source.read(&[]).unwrap();
    assert_eq!(table.rows() as u64, registration.rows - count.samples);
}

#[test]
fn a_subject_who_withdrew_is_in_no_manifest_and_its_folder_is_not_granted() {
    let laid = ward();
    let registered = laid.described_as(&whole(&laid), None).unwrap();
    let exclusions = of(&["sub-01", "sub-99"]);
    let count = exclusions.count(laid.path(), &registered, &mut Interrupt::never()).unwrap();
    assert_eq!((count.samples, count.unknown), (1, 1));
    let grant = FolderGrant {
        path: laid.path(),
        registration: &registered,
        loading_plan: None,
        modalities: &[],
        exclusions: &exclusions,
    };
    let mut text = Vec::new();
    let granted = folder_manifest(&grant, &mut text, &mut Interrupt::never()).unwrap();
    assert_eq!(granted.samples, registered.samples() - 1);
    assert_eq!(granted.left_out.excluded, 1);
    assert!(!String::from_utf8(text).unwrap().contains("sub-01"));
    let folders = |exclusions: &Exclusions| {
        exclusions.readable_folders(laid.path(), &registered, &mut Interrupt::never()).unwrap()
    };
    assert_eq!(folders(Exclusions::none()), [laid.path()]);
    let readable = folders(&exclusions);
    assert!(readable.contains(&laid.path().join("sub-02")));
    assert!(
        !readable.contains(&laid.path().join("sub-01")) && !readable.contains(&laid.path().into())
    );
}

#[test]
fn where_nobody_is_named_nobody_can_be_left_out() {
    let exclusions = of(&["7"]);
    let file = write("age;ok\n61;1\n");
    let registration = register(&file.path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&file.path, &registration).unwrap().without(&exclusions);
    let error = source.read(&[Request::Numbers("age")]).unwrap_err();
    assert!(matches!(error, Error::NoPatients(Kind::Table)), "{error}");
    let laid = Laid::new();
    laid.put("a/1.png", fixture("alpha.png")).put("b/2.png", fixture("alpha.png"));
    let registered = laid.described().unwrap();
    let error = exclusions.count(laid.path(), &registered, &mut Interrupt::never()).unwrap_err();
    assert!(matches!(error, Error::NoPatients(Kind::ImageFolder)), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn a_list_takes_identifiers_and_shows_none_of_them_in_a_log() {
    let mut exclusions = of(&["7", " 8 "]);
    assert!(!exclusions.add("7").unwrap(), "is on the list already");
    assert!(exclusions.names("8") && !exclusions.names("7.0"));
    let long = "x".repeat(257);
    for wrong in ["", "  ", "a\nb", "a\0", long.as_str()] {
        let error = exclusions.add(wrong).unwrap_err();
        assert!(matches!(error, Error::PatientIdentifier { .. }), "{error}");
    }
    exclusions.add(&long[1..]).unwrap();
    assert_eq!(format!("{exclusions:?}"), "Exclusions(3)");
    let text = serde_json::to_string(&exclusions).unwrap();
    assert_eq!(serde_json::from_str::<Exclusions>(&text).unwrap(), exclusions);
    assert!(exclusions.remove(" 7") && !exclusions.remove("7"));
    exclusions.clear();
    assert!(exclusions.is_empty());
    for number in 0..100_000 {
        exclusions.add(&number.to_string()).unwrap();
    }
    assert!(matches!(exclusions.add("one more"), Err(Error::TooManyExclusions { most: 100_000 })));
    assert!(!exclusions.add("99999").unwrap(), "who is on a full list may be named again");
}
