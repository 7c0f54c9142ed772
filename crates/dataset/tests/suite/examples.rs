//! The committed files of `examples/breast-cancer`.

use std::path::{Path, PathBuf};

use dataset::{Options, Request, TabularSource, register};
use protocol::ColumnType;

#[test]
fn the_hospitals_of_the_example_are_what_its_readme_says() {
    for (hospital, rows) in
        [("breast-cancer", 569), ("hold-out", 114), ("north", 202), ("south", 152), ("east", 101)]
    {
        let path = example(&format!("{hospital}.csv"));
        let registration = register(&path, &Options::default()).unwrap();
        assert_eq!(registration.rows, rows, "{hospital}");
        let numeric = registration.columns.iter().filter(|column| column.column_type.is_numeric());
        assert_eq!(numeric.count(), 30, "{hospital}");
        assert_eq!(registration.columns[0].name, "diagnosis");
        assert_eq!(registration.columns[0].column_type, ColumnType::Category);
        assert!(registration.columns.iter().all(|column| column.missing == 0));
    }
}

#[test]
fn the_shares_and_the_hold_out_are_the_assigned_rows() {
    let table = std::fs::read_to_string(example("breast-cancer.csv")).unwrap();
    let assignments = std::fs::read_to_string(example("assignments.csv")).unwrap();
    let (header, rows) = table.split_once('\n').unwrap();
    let assigned: Vec<Vec<&str>> =
        assignments.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(assigned.len(), rows.lines().count());
    for holder in ["north", "south", "east", "hold-out"] {
        let mut expected = format!("{header}\n");
        for (row, holders) in rows.lines().zip(&assigned) {
            if holders[3] == holder {
                expected.push_str(row);
                expected.push('\n');
            }
        }
        let share = std::fs::read_to_string(example(&format!("{holder}.csv"))).unwrap();
        assert!(share == expected, "{holder}.csv is not what assignments.csv says");
    }
    for hospitals in 1..=8 {
        let held = |holder: &str| assigned.iter().filter(|row| row[hospitals] == holder).count();
        let names = ["north", "south", "east", "west", "central", "harbour", "hill", "lake"];
        assert_eq!(held("hold-out"), 114);
        assert!(names[..hospitals].iter().all(|name| held(name) >= 50));
        assert_eq!(names[..hospitals].iter().map(|name| held(name)).sum::<usize>(), 455);
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "455 rows")]
fn the_declared_scale_is_that_of_the_training_rows() {
    let scale = std::fs::read_to_string(example("scale.toml")).unwrap();
    let mut columns = 0;
    for line in scale.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(" = { mean = ").unwrap();
        let (mean, deviation) = rest.trim_end_matches(" }").split_once(", deviation = ").unwrap();
        let values: Vec<f64> = ["north", "south", "east"]
            .iter()
            .flat_map(|hospital| numbers(hospital, name))
            .collect();
        let count = values.len() as f64;
        let found = values.iter().sum::<f64>() / count;
        let spread = values.iter().map(|value| (value - found).powi(2)).sum::<f64>() / count;
        // The file has eight digits.
        assert!((found / mean.parse::<f64>().unwrap() - 1.0).abs() < 1e-7, "{name}");
        assert!((spread.sqrt() / deviation.parse::<f64>().unwrap() - 1.0).abs() < 1e-7, "{name}");
        columns += 1;
    }
    assert_eq!(columns, 30);
}

fn numbers(hospital: &str, column: &str) -> Vec<f64> {
    let path = example(&format!("{hospital}.csv"));
    let registration = register(&path, &Options::default()).unwrap();
    let mut source = TabularSource::open(&path, &registration).unwrap();
    let table = source.read(&[Request::Numbers(column)]).unwrap();
    table.numbers(column).unwrap().to_vec()
}

pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer").join(name)
}
