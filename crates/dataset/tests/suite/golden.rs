//! What `tests/fixtures/make_golden.py` computed without our code.

use dataset::{Batches, Generator, LastBatch, Order, split};
use serde_json::Value;

#[test]
fn the_key_stream_is_chacha8() {
    for case in cases("words") {
        let mut generator = Generator::new(seed(&case));
        // Below 2⁶⁴ − 1 a draw is the word itself, but for the one word that is rejected.
        for word in case["words"].as_array().unwrap() {
            let word: u64 = text(word).parse().unwrap();
            assert_eq!(generator.below(u64::MAX), word);
        }
    }
}

#[test]
fn draws_are_those_of_the_reference() {
    for case in cases("draws") {
        let mut generator = Generator::new(seed(&case));
        for draw in case["draws"].as_array().unwrap() {
            let bound = text(&draw[0]).parse().unwrap();
            assert_eq!(generator.below(bound).to_string(), text(&draw[1]), "below {bound}");
        }
    }
}

#[test]
fn permutations_are_those_of_the_reference() {
    for case in cases("permutations") {
        let expected = rows(&case["order"]);
        let mut order: Vec<usize> = (0..expected.len()).collect();
        Generator::new(seed(&case)).shuffle(&mut order);
        assert_eq!(order, expected);
    }
}

#[test]
fn splits_are_those_of_the_reference() {
    for case in cases("splits") {
        let count = usize::try_from(case["rows"].as_u64().unwrap()).unwrap();
        let (groups, classes) = (numbers(&case["groups"]), numbers(&case["classes"]));
        let ratio = case["ratio"].as_f64().unwrap();
        let made = split(count, ratio, seed(&case), groups.as_deref(), classes.as_deref()).unwrap();
        assert_eq!(made.train, rows(&case["train"]), "{count} rows, ratio {ratio}");
        assert_eq!(made.validation, rows(&case["validation"]), "{count} rows, ratio {ratio}");
    }
}

#[test]
fn batches_are_those_of_the_reference() {
    for case in cases("batches") {
        let train = rows(&case["train"]);
        let size = usize::try_from(case["size"].as_u64().unwrap()).unwrap();
        let last =
            if case["drop_last"].as_bool().unwrap() { LastBatch::Drop } else { LastBatch::Keep };
        let order = Order::Shuffled(seed(&case));
        let batches = Batches::new(&train, size.try_into().unwrap(), order, last);
        let expected: Vec<_> = case["batches"].as_array().unwrap().iter().map(rows).collect();
        assert!(batches.iter().eq(expected.iter().map(Vec::as_slice)));
        assert_eq!(batches.count(), expected.len());
        assert_eq!(batches.rows(), expected.iter().map(Vec::len).sum::<usize>());
    }
}

fn cases(section: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../fixtures/golden.json")).unwrap();
    golden[section].as_array().unwrap().clone()
}

fn seed(case: &Value) -> [u8; 32] {
    let digits = text(&case["seed"]);
    std::array::from_fn(|byte| u8::from_str_radix(&digits[2 * byte..2 * byte + 2], 16).unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn rows(value: &Value) -> Vec<usize> {
    serde_json::from_value(value.clone()).unwrap()
}

fn numbers(value: &Value) -> Option<Vec<u32>> {
    serde_json::from_value(value.clone()).unwrap()
}
