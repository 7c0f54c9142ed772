//! Combination by the rules in tensors' names: its values, and that the order of updates decides nothing.

use std::path::PathBuf;

use aggregation::{Combine, Error, Output, Update};
use parameters::{Dtype, Durability, Parameters, Reader, Tensor};
use proptest::prelude::*;
use tempfile::TempDir;

const SITES: [&str; 4] = ["east", "north", "south", "west"];

/// What a site tells of some numbers.
fn told(numbers: &[f64]) -> Parameters {
    let count = numbers.len() as f64;
    let mean = if numbers.is_empty() { 0.0 } else { numbers.iter().sum::<f64>() / count };
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    let minimum = numbers.iter().copied().fold(f64::MAX, f64::min);
    let maximum = numbers.iter().copied().fold(f64::MIN, f64::max);
    file(&[
        ("sum.answers", 1.0),
        ("moments.count", count),
        ("moments.mean", mean),
        ("moments.squares", squares),
        ("min.value", minimum),
        ("max.value", maximum),
    ])
}

fn file(numbers: &[(&str, f64)]) -> Parameters {
    let mut parameters = Parameters::new();
    for (name, number) in numbers {
        let tensor = Tensor::from_f64(Dtype::F64, &[1], &[*number]).expect("one number");
        parameters.insert(name, tensor).expect("the name is new");
    }
    parameters
}

fn combine(files: &[(&str, Parameters)]) -> Result<Vec<u8>, Error> {
    let folder = TempDir::new().expect("a folder");
    let updates: Vec<Update> = files
        .iter()
        .map(|(node, parameters)| {
            let path: PathBuf = folder.path().join(node);
            parameters.write(&path, None, Durability::Renamed).expect("written");
            let reader = Reader::open(&path).expect("a good file");
            let (node, dataset) = (node.parse().expect("a name"), "ward".parse().expect("a name"));
            Update { node, dataset, sample_count: 0, reader }
        })
        .collect();
    let path = folder.path().join("combined");
    let durability = Durability::Renamed;
    let output = Output { path: &path, description: Some("what it is"), durability };
    let schema = updates[0].reader.schema().clone();
    let made = Combine.combine(&schema, &updates, output)?;
    let bytes = std::fs::read(&path).expect("it was written");
    assert_eq!(made.digest, protocol::Digest::of(&bytes));
    assert_eq!(made.size, bytes.len() as u64);
    Ok(bytes)
}

fn number(bytes: &[u8], name: &str) -> f64 {
    let parameters = Parameters::from_bytes(bytes).expect("a good file");
    parameters.get(name).expect("it is there").to_f64()[0]
}

proptest! {
    /// The tolerance is a few units in the last place of the largest term: each site's squares and the differences of
    /// means are added once, so rounding does not grow with the number of rows.
    #[test]
    fn moments_of_sites_are_those_of_all_rows_together_in_any_order(
        sites in proptest::collection::vec(proptest::collection::vec(-1e3_f64..1e3, 0..40), 1..4),
        offset in prop_oneof![Just(0.0), Just(1e6)],
    ) {
        let sites: Vec<Vec<f64>> =
            sites.iter().map(|site| site.iter().map(|number| number + offset).collect()).collect();
        let all: Vec<f64> = sites.concat();
        let files: Vec<_> = SITES.into_iter().zip(sites.iter().map(|site| told(site))).collect();
        let bytes = combine(&files).expect("they fit");
        let turned: Vec<_> = files.iter().rev().cloned().collect();
        prop_assert_eq!(&combine(&turned).expect("they fit"), &bytes);
        prop_assert_eq!(number(&bytes, "sum.answers"), sites.len() as f64);
        prop_assert_eq!(number(&bytes, "moments.count"), all.len() as f64);
        if !all.is_empty() {
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let squares: f64 = all.iter().map(|number| (number - mean).powi(2)).sum();
            prop_assert!((number(&bytes, "moments.mean") - mean).abs() <= 1e-12 * (1e3 + offset));
            prop_assert!((number(&bytes, "moments.squares") - squares).abs() <= 1e-9 * (squares + 1.0));
            prop_assert_eq!(number(&bytes, "min.value"), all.iter().copied().fold(f64::MAX, f64::min));
            prop_assert_eq!(number(&bytes, "max.value"), all.iter().copied().fold(f64::MIN, f64::max));
        }
    }
}

#[test]
fn a_tensor_without_a_rule_and_a_number_that_is_none_are_refused() {
    for name in ["weight", "mean.value", "moments.count", "summe.x"] {
        let error = combine(&[("north", file(&[(name, 1.0)]))]).expect_err(name);
        assert!(matches!(error, Error::NoRule { ref tensor } if tensor == name), "{error}");
    }
    let mut single = Parameters::new();
    single.insert("sum.x", Tensor::from_f32(&[1], &[1.0]).expect("one number")).expect("new");
    assert!(matches!(combine(&[("north", single)]), Err(Error::NoRule { .. })));
    let good = file(&[("sum.x", 1.0)]);
    let bad = file(&[("sum.x", f64::NAN)]);
    let error = combine(&[("north", good), ("south", bad)]).expect_err("one is no number");
    assert_eq!(error.culprit().map(|(node, _)| node.as_str()), Some("south"));
}

#[test]
fn a_number_that_would_spoil_those_of_all_is_its_sites_fault() {
    let told = |count, mean, squares| {
        file(&[
            ("moments.count", count),
            ("moments.mean", mean),
            ("moments.squares", squares),
            ("sum.bins.0", count),
        ])
    };
    for (name, wrong) in [
        ("sum.bins.0", f64::MAX),
        ("sum.bins.0", -1.0),
        ("moments.count", -12.0),
        ("moments.count", 1e300),
        ("moments.mean", 1e308),
        ("moments.mean", -1e308),
        ("moments.squares", -1.0),
        ("moments.squares", f64::MAX),
    ] {
        let mut bad = Parameters::new();
        let good = told(20.0, 1.0, 2.0);
        for (other, tensor) in good.iter() {
            let number = if other == name { wrong } else { tensor.to_f64()[0] };
            let made = Tensor::from_f64(Dtype::F64, &[1], &[number]).expect("one number");
            bad.insert(other, made).expect("the name is new");
        }
        let error = combine(&[("north", good), ("south", bad)]).expect_err(name);
        assert!(matches!(&error, Error::OutOfRange { tensor, .. } if tensor == name), "{error}");
        assert_eq!(error.culprit().map(|(node, _)| node.as_str()), Some("south"), "{error}");
    }
    // The largest numbers that are taken give finite ones, whoever sends them.
    let most = |mean| told(9_007_199_254_740_992.0, mean, 1e300);
    let bytes = combine(&[("north", most(1e140)), ("south", most(-1e140))]).expect("they fit");
    assert!(number(&bytes, "moments.squares").is_finite());
}
