//! Patients, class weights and dropout through whole rounds, against a second implementation that shares no code.
//!
//! Here stand a cipher, a shuffle, a split by patients, masks and a small network in 64-bit floats, each written from
//! its description and as plainly as can be. Only SHA-256 and the reading of the files are the program's own.

use std::collections::BTreeSet;

use dataset::{Options, register};
use parameters::Parameters;
use protocol::Digest;
use serde_json::json;

use crate::support::{Ward, bundle, logistic_text};

const SEED: u64 = 42;
const EPOCHS: u64 = 2;
const BATCH: usize = 16;
const RATE: f64 = 0.3;
const RATIO: f64 = 0.25;
const UNITS: usize = 6;
const DROPPED: f32 = 0.5;
/// Of the classes "no" and "yes".
const WEIGHTS: [f64; 2] = [0.5, 2.0];

/// A row: its patient, its two features, its class.
type Row = (usize, [f64; 2], usize);

/// The key stream of ChaCha with 8 rounds, word by word.
struct Stream {
    key: [u8; 32],
    id: u64,
    block: u64,
    words: Vec<u32>,
}

impl Stream {
    fn new(key: [u8; 32], id: u64) -> Self {
        Self { key, id, block: 0, words: Vec::new() }
    }

    fn word(&mut self) -> u32 {
        if self.words.is_empty() {
            self.refill();
        }
        self.words.remove(0)
    }

    /// Two words, the lower one first.
    fn long(&mut self) -> u64 {
        let low = u64::from(self.word());
        low | u64::from(self.word()) << 32
    }

    fn refill(&mut self) {
        let mut start = vec![0x6170_7865_u32, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        for bytes in self.key.chunks(4) {
            start.push(u32::from_le_bytes(bytes.try_into().expect("are four")));
        }
        for half in [self.block, self.id] {
            let bytes = half.to_le_bytes();
            for part in bytes.chunks(4) {
                start.push(u32::from_le_bytes(part.try_into().expect("are four")));
            }
        }
        let mut state = start.clone();
        for _ in 0..4 {
            for turn in 0..4 {
                quarter(&mut state, turn, 4 + turn, 8 + turn, 12 + turn);
            }
            for turn in 0..4 {
                let [b, c, d] = [1, 2, 3].map(|step| (turn + step) % 4);
                quarter(&mut state, turn, 4 + b, 8 + c, 12 + d);
            }
        }
        self.words = start.iter().zip(state).map(|(one, other)| one.wrapping_add(other)).collect();
        self.block += 1;
    }

    /// An integer below a bound, by throwing words away that would favour some.
    fn below(&mut self, bound: u64) -> u64 {
        let usable = u128::from(u64::MAX) + 1;
        let usable = usable - usable % u128::from(bound);
        loop {
            let word = self.long();
            if u128::from(word) < usable {
                return word % bound;
            }
        }
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1);
            items.swap(last, usize::try_from(other).expect("is a place"));
        }
    }
}

fn quarter(state: &mut [u32], a: usize, b: usize, c: usize, d: usize) {
    for (x, y, z, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[x] = state[x].wrapping_add(state[y]);
        state[z] = (state[z] ^ state[x]).rotate_left(turn);
    }
}

/// SHA-256 over items, each behind its length in eight bytes.
fn derived(items: &[&[u8]]) -> [u8; 32] {
    let mut list = Vec::new();
    for item in items {
        list.extend((item.len() as u64).to_le_bytes());
        list.extend(*item);
    }
    *Digest::of(&list).as_bytes()
}

fn of_epoch(label: &str, round: u64, epoch: u64) -> [u8; 32] {
    let [seed, round, epoch] = [SEED, round, epoch].map(u64::to_le_bytes);
    derived(&[label.as_bytes(), &seed, &round, b"north", b"ward", &epoch])
}

/// Patients have from one to four rows, which do not stand together.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for visit in 0..4 {
        for patient in (0..48).filter(|patient| patient % 4 >= visit) {
            let number = |step: usize, size: usize| {
                let place = (patient * step + visit * 3) % size;
                f64::from(u32::try_from(place).expect("is small")) / 4.0 - 1.0
            };
            let features = [number(7, 11), number(5, 13)];
            let class = usize::from(features[0] + 0.5 * features[1] > 0.6);
            rows.push((patient, features, class));
        }
    }
    rows
}

fn csv(rows: &[Row]) -> String {
    let mut text = "pid,a,b,y\n".to_owned();
    for (patient, [a, b], class) in rows {
        text.push_str(&format!("p{patient},{a},{b},{}\n", ["no", "yes"][*class]));
    }
    text
}

/// The rows that train: whole patients are drawn for validation as long as they fit.
fn training_rows(rows: &[Row], digest: &Digest) -> Vec<usize> {
    let mut patients: Vec<usize> = Vec::new();
    for (patient, ..) in rows {
        if !patients.contains(patient) {
            patients.push(*patient);
        }
    }
    Stream::new(derived(&[b"split/v1", &SEED.to_le_bytes(), digest.as_bytes()]), 0)
        .shuffle(&mut patients);
    // A quarter of the rows; their number is a multiple of four.
    let mut room = rows.len() / 4;
    let mut validates = BTreeSet::new();
    for patient in patients {
        let visits = rows.iter().filter(|(one, ..)| *one == patient).count();
        if visits <= room {
            room -= visits;
            validates.insert(patient);
        }
    }
    (0..rows.len()).filter(|row| !validates.contains(&rows[*row].0)).collect()
}

/// Two inputs, a hidden layer with rectifier and dropout, one output.
struct Network {
    first: [[f64; UNITS]; 2],
    first_bias: [f64; UNITS],
    second: [f64; UNITS],
    second_bias: f64,
}

impl Network {
    fn read(bytes: &[u8]) -> Self {
        let parameters = Parameters::from_bytes(bytes).expect("is a model");
        let values = |name: &str| parameters.get(name).expect("is there").to_f64();
        let first = values("layers.0.weight");
        let fixed = |slice: &[f64]| slice.try_into().expect("has so many units");
        Self {
            first: [fixed(&first[..UNITS]), fixed(&first[UNITS..])],
            first_bias: fixed(&values("layers.0.bias")),
            second: fixed(&values("layers.3.weight")),
            second_bias: values("layers.3.bias")[0],
        }
    }

    fn numbers(&self) -> Vec<f64> {
        let mut all = self.first.concat();
        all.extend(self.first_bias);
        all.extend(self.second);
        all.push(self.second_bias);
        all
    }

    /// One step of gradient descent on the weighted mean of the cross-entropy.
    fn step(&mut self, batch: &[&Row], mut masks: Stream) {
        let total: f64 = batch.iter().map(|(_, _, class)| WEIGHTS[*class]).sum();
        let mut slope = Self {
            first: [[0.0; UNITS]; 2],
            first_bias: [0.0; UNITS],
            second: [0.0; UNITS],
            second_bias: 0.0,
        };
        for (_, inputs, class) in batch {
            let mut hidden = [0.0; UNITS];
            let mut passes = [0.0; UNITS];
            for unit in 0..UNITS {
                let sum = self.first[0][unit] * inputs[0] + self.first[1][unit] * inputs[1];
                let fraction = f64::from(masks.word() >> 8) / 16_777_216.0;
                let kept = if fraction < f64::from(DROPPED) {
                    0.0
                } else {
                    1.0 / (1.0 - f64::from(DROPPED))
                };
                let sum = sum + self.first_bias[unit];
                passes[unit] = if sum > 0.0 { kept } else { 0.0 };
                hidden[unit] = sum.max(0.0) * kept;
            }
            let score: f64 = hidden.iter().zip(self.second).map(|(one, weight)| one * weight).sum();
            let share = 1.0 / (1.0 + (-(score + self.second_bias)).exp());
            let truth = f64::from(u32::try_from(*class).expect("is 0 or 1"));
            let error = WEIGHTS[*class] * (share - truth) / total;
            slope.second_bias += error;
            for unit in 0..UNITS {
                slope.second[unit] += error * hidden[unit];
                let back = error * self.second[unit] * passes[unit];
                slope.first_bias[unit] += back;
                slope.first[0][unit] += back * inputs[0];
                slope.first[1][unit] += back * inputs[1];
            }
        }
        for unit in 0..UNITS {
            self.second[unit] -= RATE * slope.second[unit];
            self.first_bias[unit] -= RATE * slope.first_bias[unit];
            for input in 0..2 {
                self.first[input][unit] -= RATE * slope.first[input][unit];
            }
        }
        self.second_bias -= RATE * slope.second_bias;
    }

    fn epoch(&mut self, rows: &[Row], train: &[usize], round: u64, epoch: u64) {
        let mut order = train.to_vec();
        Stream::new(of_epoch("batches/v1", round, epoch), 0).shuffle(&mut order);
        for (number, batch) in order.chunks(BATCH).enumerate() {
            let mut seed = of_epoch("dropout/v1", round, epoch);
            for (byte, part) in seed.iter_mut().zip((number as u64 + 1).to_le_bytes()) {
                *byte ^= part;
            }
            let batch: Vec<&Row> = batch.iter().map(|row| &rows[*row]).collect();
            // The masks of a layer come from the stream of its place in the plan.
            self.step(&batch, Stream::new(seed, 2));
        }
    }
}

fn plan() -> training_plan::Bundle {
    let text = logistic_text("")
        .replace("init = \"zeros\"", "init = \"he\"")
        .replace(
            "layers = [{ dense = { units = 1 } }]",
            "layers = [{ dense = { units = 6 } }, \"relu\", { dropout = { rate = 0.5 } }, { dense = { units = 1 } }]",
        )
        .replace(
            "kind = \"binary_cross_entropy\"",
            "kind = \"binary_cross_entropy\"\nclass_weights = [0.5, 2.0]",
        );
    bundle(&text)
}

#[test]
fn patients_class_weights_and_dropout_are_those_of_a_second_implementation() {
    let rows = rows();
    assert_eq!(rows.len() % 4, 0);
    let mut ward = Ward::new(plan(), &["a", "b"], &csv(&rows), SEED);
    let options = Options { patient_id: Some("pid".to_owned()), ..Options::default() };
    ward.registration = register(&ward.table, &options).expect("the table is right").into();
    let train = training_rows(&rows, &ward.registration.digest());
    assert!(train.len() > rows.len() / 2 && train.len() < rows.len(), "{}", train.len());
    let arguments = json!({
        "epochs": EPOCHS, "batch_size": BATCH, "optimizer_args": { "lr": RATE },
        "test_ratio": RATIO, "test_on_global_updates": true,
    });
    let start = std::fs::read(&ward.parameters).expect("the first parameters are there");
    let mut network = Network::read(&start);
    for round in 1..=2 {
        for epoch in 0..EPOCHS {
            network.epoch(&rows, &train, round, epoch);
        }
        let outcome = ward.run(&arguments).expect("the round succeeds");
        assert_eq!(outcome.training.sample_count, train.len() as u64);
        assert_eq!(outcome.data.validation, (rows.len() - train.len()) as u64);
        let found = Network::read(&outcome.parameters).numbers();
        for (place, (found, expected)) in found.iter().zip(network.numbers()).enumerate() {
            // A few dozen steps in f32 against f64: each rounds at 6e-8 of values around one.
            let difference = (found - expected).abs();
            assert!(difference < 2e-5, "round {round}, number {place}: {found} {expected}");
        }
        ward.go_on(&outcome);
    }
}
