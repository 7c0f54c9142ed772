//! The federated average: its values, and that nothing but its input decides its bytes.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use aggregation::{Error, FedAvg, Output, Update, Weights};
use parameters::{Dtype, Durability, Parameters, Reader, Schema, Tensor, TensorSchema};
use proptest::prelude::*;
use protocol::{ArtifactReference, Digest};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Holds a model's file for each site.
struct Sites {
    folder: TempDir,
    sites: Vec<(&'static str, &'static str, u64, PathBuf)>,
}

impl Sites {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), sites: Vec::new() }
    }

    fn with(
        mut self,
        node: &'static str,
        dataset: &'static str,
        count: u64,
        model: &Parameters,
    ) -> Self {
        let path = self.folder.path().join(format!("{node}-{dataset}.safetensors"));
        model.write(&path, None, Durability::Renamed).expect("written");
        self.sites.push((node, dataset, count, path));
        self
    }

    fn updates(&self) -> Vec<Update> {
        let update = |(node, dataset, sample_count, path): &(&str, &str, u64, PathBuf)| Update {
            node: node.parse().expect("a name"),
            dataset: dataset.parse().expect("a name"),
            sample_count: *sample_count,
            reader: Reader::open(path).expect("a good file"),
        };
        self.sites.iter().map(update).collect()
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("mean.safetensors")
    }

    fn aggregate(&self, fed_avg: FedAvg, updates: &[Update]) -> Result<Vec<u8>, Error> {
        let schema = updates.first().map(|update| update.reader.schema().clone());
        self.aggregate_as(fed_avg, &schema.unwrap_or_default(), updates)
    }

    fn aggregate_as(
        &self,
        fed_avg: FedAvg,
        model: &Schema,
        updates: &[Update],
    ) -> Result<Vec<u8>, Error> {
        let path = self.output();
        let durability = Durability::Renamed;
        let output = Output { path: &path, description: Some("mean"), durability };
        let length = fed_avg.aggregate(model, updates, output)?;
        let bytes = std::fs::read(&path).expect("it was written");
        assert_eq!(length, bytes.len() as u64);
        Ok(bytes)
    }
}

fn one(dtype: Dtype, values: &[f64]) -> Parameters {
    let mut model = Parameters::new();
    let tensor = Tensor::from_f64(dtype, &[values.len()], values).expect("filled");
    model.insert("w", tensor).expect("new");
    model
}

fn values(bytes: &[u8]) -> Vec<f64> {
    Parameters::from_bytes(bytes).expect("a good file").get("w").expect("there").to_f64()
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("not zero")
}

#[test]
fn samples_weigh_the_mean_and_uniform_does_not() {
    let sites = Sites::new().with("north", "a", 3, &one(Dtype::F32, &[1.0, -2.0])).with(
        "south",
        "a",
        1,
        &one(Dtype::F32, &[5.0, 2.0]),
    );
    let updates = sites.updates();
    let weighted = sites.aggregate(FedAvg::new(Weights::Samples), &updates).expect("aggregated");
    assert_eq!(values(&weighted), [2.0, -1.0]);
    let uniform = sites.aggregate(FedAvg::new(Weights::Uniform), &updates).expect("aggregated");
    assert_eq!(values(&uniform), [3.0, 0.0]);
    assert_eq!(Reader::open(&sites.output()).expect("good").description(), Some("mean"));
}

#[test]
fn integers_round_to_nearest_with_ties_to_even() {
    for dtype in [Dtype::I64, Dtype::I32, Dtype::I16, Dtype::I8, Dtype::U8] {
        let sites = Sites::new().with("north", "a", 1, &one(dtype, &[2.0, 3.0, 10.0])).with(
            "south",
            "a",
            1,
            &one(dtype, &[3.0, 4.0, 10.0]),
        );
        let mean = sites.aggregate(FedAvg::new(Weights::Samples), &sites.updates());
        assert_eq!(values(&mean.expect("aggregated")), [2.0, 4.0, 10.0], "{dtype}");
    }
    let sites = Sites::new()
        .with("north", "a", 1, &one(Dtype::Bool, &[0.0, 1.0, 1.0]))
        .with("south", "a", 1, &one(Dtype::Bool, &[1.0, 1.0, 0.0]))
        .with("west", "a", 2, &one(Dtype::Bool, &[0.0, 1.0, 1.0]));
    let mean = sites.aggregate(FedAvg::new(Weights::Samples), &sites.updates());
    assert_eq!(values(&mean.expect("aggregated")), [0.0, 1.0, 1.0]);
}

#[test]
fn sites_are_summed_in_the_order_of_the_bytes_of_their_names() {
    // In f64, (2⁵³ + 1) + 1 loses both ones, 2⁵³ + (1 + 1) would keep them.
    let large = 2.0_f64.powi(53);
    let sites = Sites::new()
        .with("b", "z", 1, &one(Dtype::F64, &[1.0]))
        .with("b", "a", 1, &one(Dtype::F64, &[1.0]))
        .with("Z", "a", 1, &one(Dtype::F64, &[large]));
    let mean = sites.aggregate(FedAvg::new(Weights::Uniform), &sites.updates());
    assert_eq!(values(&mean.expect("aggregated")), [large / 3.0]);
    let sites = Sites::new()
        .with("b", "z", 1, &one(Dtype::F64, &[large]))
        .with("b", "a", 1, &one(Dtype::F64, &[1.0]))
        .with("Z", "a", 1, &one(Dtype::F64, &[1.0]));
    let mean = sites.aggregate(FedAvg::new(Weights::Uniform), &sites.updates());
    assert_eq!(values(&mean.expect("aggregated")), [(large + 2.0) / 3.0]);
}

#[test]
fn a_single_update_comes_out_as_it_went_in() {
    let values = [0.1, -0.0, 1e-45, 3.4e38, -7.25];
    let sites = Sites::new().with("north", "a", 341, &one(Dtype::F32, &values));
    let mean = sites.aggregate(FedAvg::new(Weights::Samples), &sites.updates());
    let expected = one(Dtype::F32, &values).to_bytes(Some("mean")).expect("short");
    assert_eq!(mean.expect("aggregated"), expected);
}

#[test]
fn the_mean_of_every_type_is_that_of_numpy_in_float64() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let open = |name: &str| Reader::open(&fixtures.join(name)).expect("it is committed");
    let update = |node: &str, dataset: &str, sample_count| Update {
        node: node.parse().expect("a name"),
        dataset: dataset.parse().expect("a name"),
        sample_count,
        reader: open(&format!("{node}-{dataset}.safetensors")),
    };
    let updates = [update("south", "a", 113), update("north", "b", 7), update("north", "a", 341)];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mean.safetensors");
    for (weights, name) in [(Weights::Samples, "samples"), (Weights::Uniform, "uniform")] {
        let output = Output { path: &path, description: None, durability: Durability::Renamed };
        let model = updates[0].reader.schema();
        FedAvg::new(weights).aggregate(model, &updates, output).expect("aggregated");
        let expected = open(&format!("mean-{name}.safetensors")).parameters().expect("readable");
        let ours = Reader::open(&path).expect("good").parameters().expect("readable");
        assert_eq!(expected.len(), Dtype::ALL.len());
        for (dtype, tensor) in expected.iter() {
            assert_eq!(ours.get(dtype), Some(tensor), "{dtype}, weights {name}");
        }
    }
}

#[test]
fn the_mean_is_hashed_while_it_is_written() {
    let values: Vec<f64> = (0..200_000).map(|place| f64::from(place % 977)).collect();
    let mut model = one(Dtype::F32, &values);
    // The file holds wider elements first, the schema goes by names.
    for (name, dtype) in [("a", Dtype::F16), ("x", Dtype::F64), ("y", Dtype::U8)] {
        let tensor = Tensor::from_f64(
            dtype,
            &[40_000],
            &values[..40_000].iter().map(|value| value % 100.0).collect::<Vec<_>>(),
        );
        model.insert(name, tensor.expect("filled")).expect("new");
    }
    let sites = Sites::new().with("north", "a", 1, &model).with("south", "a", 2, &model);
    for count in [1, 2, 5] {
        let fed_avg = FedAvg { weights: Weights::Samples, threads: threads(count) };
        let updates = sites.updates();
        let plain = sites.aggregate(fed_avg, &updates).expect("aggregated");
        let path = sites.output();
        let output =
            Output { path: &path, description: Some("mean"), durability: Durability::Renamed };
        let schema = updates[0].reader.schema();
        let found = fed_avg.aggregate_hashed(schema, &updates, output).expect("aggregated");
        assert!(std::fs::read(&path).expect("it was written") == plain);
        assert_eq!(found, ArtifactReference::new(Digest::of(&plain), plain.len() as u64));
    }
}

#[test]
fn the_schemas_must_be_that_of_the_model() {
    let sites = Sites::new().with("north", "a", 1, &one(Dtype::F32, &[1.0, 2.0])).with(
        "south",
        "a",
        1,
        &one(Dtype::F32, &[1.0]),
    );
    let model = Schema::new(vec![TensorSchema::new("w", Dtype::F32, &[2])]).expect("good");
    let error = sites
        .aggregate_as(FedAvg::new(Weights::Samples), &model, &sites.updates())
        .expect_err("south differs");
    assert_eq!(
        error.to_string(),
        r#"the update from dataset a of node south does not fit the model: tensor "w" is F32 [1], expected F32 [2]"#
    );
    assert_eq!(error.culprit().expect("south").0.as_str(), "south");
    assert!(!sites.output().exists());
}

#[test]
fn counts_that_give_no_mean_are_named() {
    let model = one(Dtype::F32, &[1.0]);
    let zero = Sites::new().with("north", "a", 0, &model).with("south", "a", 0, &model);
    let fed_avg = FedAvg::new(Weights::Samples);
    let error = zero.aggregate(fed_avg, &zero.updates()).expect_err("no weight");
    assert_eq!(error.to_string(), "no update counts a sample, so there is no mean");
    assert!(zero.aggregate(FedAvg::new(Weights::Uniform), &zero.updates()).is_ok());

    let many = Sites::new().with("north", "a", u64::MAX, &model).with("south", "a", 1, &model);
    let error = many.aggregate(fed_avg, &many.updates()).expect_err("overflow");
    assert!(matches!(error, Error::TooManySamples));
    assert!(matches!(many.aggregate(fed_avg, &[]), Err(Error::NoUpdates)));
    let twice = Sites::new().with("north", "a", 1, &model).with("north", "a", 2, &model);
    let error = twice.aggregate(fed_avg, &twice.updates()).expect_err("the same site");
    assert_eq!(error.to_string(), "there are two updates from dataset a of node north");
}

/// Updates are added four at a time; the sum must be that of adding one after the other.
#[test]
fn any_number_of_sites_is_summed_one_after_the_other() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    // Thirds of very different size, so that another order of the additions shows.
    let exponents = [-5, -2, 1, 4, -4, -1, 2, 5, -3];
    let value = |site: usize| 10.0_f64.powi(exponents[site]) / 3.0;
    for count in 1..=names.len() {
        let mut sites = Sites::new();
        for (site, name) in names[..count].iter().enumerate() {
            sites = sites.with(name, "a", 7 + site as u64, &one(Dtype::F64, &[value(site), 1.0]));
        }
        let mut sum = 0.0;
        let mut total = 0.0;
        for site in 0..count {
            sum += (7 + site) as f64 * value(site);
            total += (7 + site) as f64;
        }
        let mean = sites.aggregate(FedAvg::new(Weights::Samples), &sites.updates());
        assert_eq!(values(&mean.expect("aggregated")), [sum / total, 1.0], "{count} sites");
    }
}

#[test]
fn a_site_without_samples_adds_nothing_to_the_others() {
    let sites = Sites::new().with("north", "a", 0, &one(Dtype::F32, &[100.0])).with(
        "south",
        "a",
        2,
        &one(Dtype::F32, &[3.0]),
    );
    let mean = sites.aggregate(FedAvg::new(Weights::Samples), &sites.updates());
    assert_eq!(values(&mean.expect("aggregated")), [3.0]);
}

#[test]
fn a_value_that_is_not_finite_is_traced_to_its_site() {
    for (dtype, bad) in [
        (Dtype::F64, f64::NAN),
        (Dtype::F32, f64::INFINITY),
        (Dtype::F16, f64::NEG_INFINITY),
        (Dtype::Bf16, f64::NAN),
    ] {
        let mut broken = vec![1.0; 100_000];
        broken[70_000] = bad;
        let sites = Sites::new().with("north", "a", 1, &one(dtype, &vec![1.0; 100_000])).with(
            "south",
            "a",
            1,
            &one(dtype, &broken),
        );
        for count in [1, 2, 3] {
            let fed_avg = FedAvg { weights: Weights::Samples, threads: threads(count) };
            let error = sites.aggregate(fed_avg, &sites.updates()).expect_err("it is broken");
            assert_eq!(
                error.to_string(),
                r#"element 70000 of tensor "w" is not a finite value in the update from dataset a of node south"#,
                "{dtype}"
            );
        }
        assert!(!sites.output().exists());
    }
}

#[test]
fn a_byte_that_is_no_boolean_is_traced_to_its_site() {
    let mut broken = Parameters::new();
    let tensor = Tensor::new(Dtype::Bool, &[2], vec![1, 7]).expect("filled");
    broken.insert("w", tensor).expect("new");
    let sites = Sites::new().with("north", "a", 1, &broken);
    let error = sites.aggregate(FedAvg::new(Weights::Samples), &sites.updates());
    assert!(matches!(error, Err(Error::NotFiniteUpdate { element: 1, .. })));
}

#[test]
fn finite_values_have_a_finite_mean_though_their_sum_overflows() {
    let huge = 2.0_f64.powi(1023);
    // Over several chunks, so that all but one are taken as usual.
    let mut north = vec![0.25; 100_000];
    let mut south = north.clone();
    north[70_000..70_004].copy_from_slice(&[huge, f64::MAX, f64::MIN, huge]);
    south[70_000..70_004].copy_from_slice(&[-huge, f64::MAX, f64::MIN, 0.5]);
    let sites = Sites::new().with("north", "a", 3, &one(Dtype::F64, &north)).with(
        "south",
        "a",
        1,
        &one(Dtype::F64, &south),
    );
    for count in [1, 2, 3] {
        let fed_avg = FedAvg { weights: Weights::Samples, threads: threads(count) };
        let mean = values(&sites.aggregate(fed_avg, &sites.updates()).expect("aggregated"));
        assert_eq!(mean[70_000..70_004], [huge / 2.0, f64::MAX, f64::MIN, huge * 0.75]);
        assert!(mean[..70_000].iter().chain(&mean[70_004..]).all(|value| *value == 0.25));
    }
}

#[test]
fn a_value_that_is_not_finite_is_found_behind_a_sum_that_overflows() {
    let sites = Sites::new().with("north", "a", 1, &one(Dtype::F64, &[f64::MAX, 1.0])).with(
        "south",
        "a",
        1,
        &one(Dtype::F64, &[f64::MAX, f64::NAN]),
    );
    let error = sites.aggregate(FedAvg::new(Weights::Samples), &sites.updates());
    let error = error.expect_err("it is broken");
    assert_eq!(error.culprit().expect("south").0.as_str(), "south");
    assert!(matches!(error, Error::NotFiniteUpdate { element: 1, .. }));
}

#[test]
fn an_update_that_shrinks_while_it_is_read_is_traced_to_its_site() {
    let sites = Sites::new().with("north", "a", 1, &one(Dtype::F32, &[1.0]));
    let updates = sites.updates();
    std::fs::write(&sites.sites[0].3, b"").expect("written");
    let error = sites.aggregate(FedAvg::new(Weights::Samples), &updates).expect_err("it shrank");
    assert!(matches!(error, Error::Unreadable { .. }));
    assert_eq!(error.culprit().expect("north").0.as_str(), "north");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn neither_the_order_of_the_updates_nor_the_number_of_threads_changes_a_bit(
        seed in any::<u64>(),
        counts in proptest::collection::vec(0_u64..10_000, 3),
        order in Just(vec![0_usize, 1, 2]).prop_shuffle(),
        thread_count in 1_usize..6,
    ) {
        prop_assume!(counts.iter().sum::<u64>() > 0);
        let names = [("north", "a"), ("north", "b"), ("east", "c")];
        let mut sites = Sites::new();
        for (number, ((node, dataset), count)) in names.iter().zip(&counts).enumerate() {
            sites = sites.with(node, dataset, *count, &random_model(seed ^ number as u64));
        }
        let in_order = FedAvg { weights: Weights::Samples, threads: threads(1) };
        let expected = sites.aggregate(in_order, &sites.updates()).expect("aggregated");
        let mut updates: Vec<Option<Update>> = sites.updates().into_iter().map(Some).collect();
        let shuffled: Vec<Update> =
            order.iter().map(|place| updates[*place].take().expect("taken once")).collect();
        let fed_avg = FedAvg { weights: Weights::Samples, threads: threads(thread_count) };
        let again = sites.aggregate(fed_avg, &shuffled).expect("aggregated");
        prop_assert_eq!(Sha256::digest(&again), Sha256::digest(&expected));
    }
}

/// Makes tensors of several chunks and types with values of very different size.
fn random_model(seed: u64) -> Parameters {
    let mut state = seed;
    let mut number = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = f64::from(u32::try_from(state >> 32).expect("32 bits")) / f64::from(u32::MAX);
        (unit - 0.5) * 10.0_f64.powi(i32::try_from(state % 9).expect("small") - 4)
    };
    let mut model = Parameters::new();
    for (name, dtype, length) in [
        ("a", Dtype::F32, 40_000),
        ("b", Dtype::F64, 17_000),
        ("c", Dtype::Bf16, 33),
        ("d", Dtype::I32, 5),
    ] {
        let values: Vec<f64> = (0..length).map(|_| number()).collect();
        let tensor = Tensor::from_f64(dtype, &[length], &values).expect("filled");
        model.insert(name, tensor).expect("new");
    }
    model
}
