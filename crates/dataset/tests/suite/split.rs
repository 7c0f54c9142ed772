//! What holds for every split and every order of batches.

use std::collections::{BTreeMap, BTreeSet};

use dataset::split::Error;
use dataset::{Batches, LastBatch, Order, split};
use proptest::prelude::*;

#[test]
fn a_ratio_outside_zero_to_one_is_refused() {
    for ratio in [-0.1, 1.000_001, f64::NAN, f64::INFINITY] {
        assert!(matches!(split(10, ratio, [0; 32], None, None), Err(Error::Ratio(_))));
    }
}

#[test]
fn a_list_of_another_length_is_refused() {
    let error = split(3, 0.5, [0; 32], Some(&[1, 2]), None).unwrap_err();
    assert_eq!(error.to_string(), "groups are given for 2 rows, the dataset has 3");
    let error = split(3, 0.5, [0; 32], None, Some(&[1, 2, 3, 4])).unwrap_err();
    assert_eq!(error.to_string(), "classes are given for 4 rows, the dataset has 3");
}

#[test]
fn another_seed_gives_another_split() {
    let made = |byte| split(100, 0.5, [byte; 32], None, None).unwrap();
    assert_ne!(made(1), made(2));
}

#[test]
fn a_group_that_does_not_fit_leaves_room_for_a_smaller_one() {
    // Nine rows of one patient, and one of another: one row may validate, and only one patient fits.
    let groups = [5, 5, 5, 5, 5, 5, 5, 5, 5, 6];
    for byte in 0..20 {
        let made = split(10, 0.1, [byte; 32], Some(&groups), None).unwrap();
        assert_eq!(made.validation, [9]);
    }
}

#[test]
fn every_row_validates_about_as_often_as_any_other() {
    let mut counts = [0; 20];
    for number in 0..4000_u32 {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        for row in split(20, 0.25, seed, None, None).unwrap().validation {
            counts[row] += 1;
        }
    }
    // Each count is binomial with mean 1000 and deviation 27; six deviations are never left by chance.
    assert!(counts.iter().all(|count| (836..=1164).contains(count)), "{counts:?}");
}

proptest! {
    #[test]
    fn a_split_is_a_partition_of_the_asked_size(
        rows in 0..500_usize, ratio in 0.0..=1.0_f64, seed: [u8; 32],
    ) {
        let made = split(rows, ratio, seed, None, None).unwrap();
        prop_assert_eq!(made.validation.len(), floor(rows, ratio));
        prop_assert!(is_partition(rows, &made.train, &made.validation));
        prop_assert_eq!(made, split(rows, ratio, seed, None, None).unwrap());
    }

    #[test]
    fn no_group_straddles(
        groups in prop::collection::vec(0..30_u32, 0..200),
        kinds in prop::option::of(1..5_u32),
        ratio in 0.0..=1.0_f64,
        seed: [u8; 32],
    ) {
        let rows = groups.len();
        let classes: Option<Vec<u32>> =
            kinds.map(|kinds| (0..kinds).cycle().take(rows).collect());
        let made = split(rows, ratio, seed, Some(&groups), classes.as_deref()).unwrap();
        prop_assert!(is_partition(rows, &made.train, &made.validation));
        prop_assert!(made.validation.len() <= floor(rows, ratio));
        let groups_of = |rows: &[usize]| -> BTreeSet<u32> { rows.iter().map(|&row| groups[row]).collect() };
        prop_assert!(groups_of(&made.train).is_disjoint(&groups_of(&made.validation)));
        if ratio == 1.0 && classes.is_none() {
            prop_assert!(made.train.is_empty());
        }
    }

    #[test]
    fn a_stratified_split_takes_its_part_of_each_class_within_one(
        classes in prop::collection::vec(0..5_u32, 0..300), ratio in 0.0..=1.0_f64, seed: [u8; 32],
    ) {
        let rows = classes.len();
        let made = split(rows, ratio, seed, None, Some(&classes)).unwrap();
        prop_assert_eq!(made.validation.len(), floor(rows, ratio));
        let mut counts = BTreeMap::new();
        for (row, class) in classes.iter().enumerate() {
            let (all, taken) = counts.entry(class).or_insert((0, 0));
            *all += 1;
            *taken += usize::from(made.validation.contains(&row));
        }
        for (all, taken) in counts.into_values() {
            let exact = all as f64 * ratio;
            prop_assert!((taken as f64 - exact).abs() <= 1.0, "{} of {}, exact {}", taken, all, exact);
        }
    }

    #[test]
    fn an_epoch_visits_every_row_once(
        train in prop::collection::btree_set(0..1000_usize, 0..200),
        size in 1..64_usize,
        seed: [u8; 32],
    ) {
        let train: Vec<usize> = train.into_iter().collect();
        let size = size.try_into().unwrap();
        let shuffled = Batches::new(&train, size, Order::Shuffled(seed), LastBatch::Keep);
        let mut visited: Vec<usize> = shuffled.iter().flatten().copied().collect();
        prop_assert!(shuffled.iter().rev().skip(1).all(|batch| batch.len() == size.get()));
        visited.sort_unstable();
        prop_assert_eq!(&visited, &train);
        let plain = Batches::new(&train, size, Order::Dataset, LastBatch::Keep);
        prop_assert!(plain.iter().flatten().eq(&train));
        let dropped = Batches::new(&train, size, Order::Shuffled(seed), LastBatch::Drop);
        prop_assert_eq!(dropped.rows(), train.len() / size.get() * size.get());
        prop_assert!(dropped.iter().eq(shuffled.iter().filter(|batch| batch.len() == size.get())));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a part of a small count")]
fn floor(rows: usize, ratio: f64) -> usize {
    (rows as f64 * ratio).floor() as usize
}

fn is_partition(rows: usize, train: &[usize], validation: &[usize]) -> bool {
    let mut all = [train, validation].concat();
    all.sort_unstable();
    let ordered = [train, validation].iter().all(|side| side.is_sorted());
    ordered && all.into_iter().eq(0..rows)
}
