//! What is written is read again, by us and by the reference implementation, and always the same.

use std::{collections::BTreeMap, path::Path};

use parameters::{
    Dtype, Durability, Error, Parameters, PositionedWriter, Reader, Schema, Tensor, TensorSchema,
    Writer, header, mapped::Mapped,
};
use proptest::prelude::*;

fn tensors() -> impl Strategy<Value = BTreeMap<String, Tensor>> {
    let tensor = (0..Dtype::ALL.len(), proptest::collection::vec(0_usize..4, 0..4)).prop_flat_map(
        |(dtype, shape)| {
            let dtype = Dtype::ALL[dtype];
            let bytes = shape.iter().product::<usize>() * dtype.size();
            proptest::collection::vec(0_u8..2, bytes)
                .prop_map(move |bytes| Tensor::new(dtype, &shape, bytes).expect("it fits"))
        },
    );
    proptest::collection::btree_map("[a-zé\"\\\\.0-9]{1,8}", tensor, 0..6)
}

fn parameters_of(tensors: &BTreeMap<String, Tensor>) -> Parameters {
    let mut parameters = Parameters::new();
    for (name, tensor) in tensors {
        parameters.insert(name, tensor.clone()).expect("names are new");
    }
    parameters
}

fn listing(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_way_to_write_gives_the_same_bytes_and_every_way_to_read_the_same_values(
        tensors in tensors(),
        description in proptest::option::of("[ -~é]{0,20}"),
        piece in 1_usize..9,
    ) {
        let parameters = parameters_of(&tensors);
        let description = description.as_deref();
        let bytes = parameters.to_bytes(description).expect("short");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");

        let length = parameters.write(&path, description, Durability::Synced).expect("written");
        prop_assert_eq!(length, bytes.len() as u64);
        prop_assert_eq!(&std::fs::read(&path).expect("it is there"), &bytes);

        let schema = parameters.schema().expect("small");
        let writer = PositionedWriter::create(&path, &schema, description).expect("created");
        for (index, tensor) in schema.tensors().iter().enumerate().rev() {
            let data = parameters.get(&tensor.name).expect("it is there").bytes();
            for (number, part) in data.chunks(piece).enumerate().collect::<Vec<_>>().iter().rev() {
                writer.write_at(index, (number * piece) as u64, part).expect("inside");
            }
        }
        writer.finish(Durability::Renamed).expect("complete");
        prop_assert_eq!(&std::fs::read(&path).expect("it is there"), &bytes);
        prop_assert_eq!(listing(folder.path()), ["model.safetensors"]);

        let mut seen = Vec::new();
        let mut show = |bytes: &[u8]| seen.extend_from_slice(bytes);
        let writer = PositionedWriter::create_shown(&path, &schema, description, &mut show);
        let writer = writer.expect("created");
        for (index, tensor) in schema.tensors().iter().enumerate().rev() {
            let data = parameters.get(&tensor.name).expect("it is there").bytes();
            let (even, odd): (Vec<_>, Vec<_>) =
                data.chunks(piece).enumerate().partition(|(number, _)| number % 2 == 0);
            std::thread::scope(|scope| {
                for half in [even, odd] {
                    let writer = &writer;
                    scope.spawn(move || {
                        for (number, part) in half {
                            writer.write_at(index, (number * piece) as u64, part).expect("inside");
                        }
                    });
                }
            });
        }
        writer.finish(Durability::Renamed).expect("complete");
        prop_assert_eq!(&seen, &bytes);
        prop_assert_eq!(&std::fs::read(&path).expect("it is there"), &bytes);

        let reader = Reader::open(&path).expect("our own");
        prop_assert!(reader.header().is_canonical());
        prop_assert_eq!(reader.description(), description);
        prop_assert_eq!(&reader.parameters().expect("readable"), &parameters);
        prop_assert_eq!(&Parameters::from_bytes(&bytes).expect("our own"), &parameters);
        let mapped = Mapped::open(&path).expect("our own");
        for (name, tensor) in parameters.iter() {
            prop_assert_eq!(mapped.bytes(name).expect("it is there"), tensor.bytes());
        }
        prop_assert_eq!(
            reader.l2_norm().expect("readable").to_bits(), parameters.l2_norm().to_bits()
        );
    }

    #[test]
    fn the_reference_implementation_reads_what_we_write(tensors in tensors()) {
        let bytes = parameters_of(&tensors).to_bytes(Some("it")).expect("short");
        let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("a good file");
        prop_assert_eq!(theirs.len(), tensors.len());
        for (name, tensor) in &tensors {
            let view = theirs.tensor(name).expect("it is there");
            prop_assert_eq!(view.shape(), tensor.shape());
            prop_assert_eq!(view.data(), tensor.bytes());
            prop_assert_eq!(format!("{:?}", view.dtype()).to_uppercase(), tensor.dtype().as_str());
            // Aligned tensors are what lets other frameworks take views without copying.
            let place = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            prop_assert!(view.data().is_empty() || place.is_multiple_of(tensor.dtype().size()));
        }
    }

    #[test]
    fn we_read_what_the_reference_implementation_writes(tensors in tensors()) {
        let views: Vec<_> = tensors.iter().map(|(name, tensor)| {
            let dtype = reference_dtype(tensor.dtype());
            let view = safetensors::tensor::TensorView::new(
                dtype, tensor.shape().to_vec(), tensor.bytes()
            );
            (name.clone(), view.expect("it fits"))
        }).collect();
        let bytes = safetensors::serialize(views, None).expect("serialized");
        prop_assert_eq!(Parameters::from_bytes(&bytes).expect("good"), parameters_of(&tensors));
    }
}

fn reference_dtype(dtype: Dtype) -> safetensors::Dtype {
    match dtype {
        Dtype::F64 => safetensors::Dtype::F64,
        Dtype::F32 => safetensors::Dtype::F32,
        Dtype::F16 => safetensors::Dtype::F16,
        Dtype::Bf16 => safetensors::Dtype::BF16,
        Dtype::I64 => safetensors::Dtype::I64,
        Dtype::I32 => safetensors::Dtype::I32,
        Dtype::I16 => safetensors::Dtype::I16,
        Dtype::I8 => safetensors::Dtype::I8,
        Dtype::U8 => safetensors::Dtype::U8,
        Dtype::Bool => safetensors::Dtype::BOOL,
    }
}

/// The bytes that version 0.1.0 wrote; a change here is a change of the format.
#[test]
fn the_golden_file_is_still_written_and_read() {
    let mut model = Parameters::new();
    let mut insert = |name: &str, tensor: Result<Tensor, Error>| {
        model.insert(name, tensor.expect("filled")).expect("new");
    };
    insert("layers.0.weight", Tensor::from_f32(&[2, 3], &[0.5, -1.0, 2.0, 1e-7, 0.0, 3.25]));
    insert("layers.0.bias", Tensor::from_f32(&[3], &[1.0, 2.0, 3.0]));
    insert("layers.1.steps", Tensor::from_f64(Dtype::I64, &[], &[42.0]));
    insert("layers.1.mask", Tensor::from_f64(Dtype::Bool, &[3], &[1.0, 0.0, 1.0]));
    insert("layers.2.half", Tensor::from_f64(Dtype::F16, &[2], &[0.1, 65504.0]));
    insert("layers.2.brain", Tensor::from_f64(Dtype::Bf16, &[1], &[0.1]));
    let bytes = model.to_bytes(Some(r#"{"task":"binary"}"#)).expect("short");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-1.safetensors");
    let golden = std::fs::read(&path).expect("it is committed");
    assert_eq!(bytes, golden);
    assert_eq!(Parameters::from_bytes(&golden).expect("our own"), model);
    assert_eq!(model.get("layers.2.half").expect("there").bytes(), [0x66, 0x2e, 0xff, 0x7b]);
}

#[test]
fn data_lies_by_element_size_and_then_by_name() {
    let schema = Schema::new(vec![
        TensorSchema::new("a", Dtype::U8, &[3]),
        TensorSchema::new("b", Dtype::F32, &[1]),
        TensorSchema::new("c", Dtype::I64, &[1]),
        TensorSchema::new("d", Dtype::F32, &[1]),
    ])
    .expect("good");
    assert_eq!(header::data_order(&schema), [2, 1, 3, 0]);
}

#[test]
fn an_unfinished_or_overfull_file_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let schema = Schema::new(vec![TensorSchema::new("a", Dtype::U8, &[4])]).expect("good");
    let mut writer = Writer::create(&path, &schema, None).expect("created");
    writer.append(&[1, 2, 3]).expect("room");
    let error = writer.append(&[4, 5]).expect_err("one too many");
    assert_eq!(error.to_string(), "5 data bytes were written, the schema needs 4");
    let error = writer.finish(Durability::Renamed).expect_err("one is missing");
    assert_eq!(error.to_string(), "3 data bytes were written, the schema needs 4");

    let writer = PositionedWriter::create(&path, &schema, None).expect("created");
    let error = writer.write_at(0, 3, &[1, 2]).expect_err("beyond the end");
    assert_eq!(error.to_string(), r#"tensor "a" has 4 bytes, bytes up to 5 were asked for"#);
    assert!(writer.finish(Durability::Renamed).is_err());

    let mut ignore = |_: &[u8]| {};
    let writer = PositionedWriter::create_shown(&path, &schema, None, &mut ignore);
    let writer = writer.expect("created");
    writer.write_at(0, 2, &[3, 4]).expect("inside");
    writer.write_at(0, 2, &[3, 4]).expect("inside");
    let error = writer.finish(Durability::Renamed).expect_err("the first two are missing");
    assert_eq!(error.to_string(), "0 data bytes were written, the schema needs 4");
    assert_eq!(listing(folder.path()), Vec::<String>::new());
}

#[test]
fn values_that_are_not_finite_are_found_with_their_name_and_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let mut values = vec![0.0_f32; 70_000];
    values[69_999] = f32::NAN;
    let mut model = Parameters::new();
    model.insert("a", Tensor::from_f32(&[2], &[1.0, 2.0]).expect("filled")).expect("new");
    model.insert("b", Tensor::from_f32(&[70_000], &values).expect("filled")).expect("new");
    model.write(&path, None, Durability::Renamed).expect("written");
    let expected = r#"element 69999 of tensor "b" is not a finite value"#;
    let from_file = Reader::open(&path).expect("good").check_finite().expect_err("it has a NaN");
    assert_eq!(from_file.to_string(), expected);
    assert_eq!(model.check_finite().expect_err("it has a NaN").to_string(), expected);

    let truth = Tensor::new(Dtype::Bool, &[2], vec![1, 2]).expect("filled");
    let mut model = Parameters::new();
    model.insert("mask", truth).expect("new");
    assert!(matches!(model.check_finite(), Err(Error::NotFinite { index: 1, .. })));
}

#[test]
fn the_norm_is_that_of_all_floats_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let mut model = Parameters::new();
    let ones = vec![1.0_f32; 140_000];
    model.insert("a", Tensor::from_f32(&[140_000], &ones).expect("filled")).expect("new");
    let threes = Tensor::from_f64(Dtype::F16, &[1], &[-300.0]).expect("filled");
    model.insert("b", threes).expect("new");
    model.insert("c", Tensor::from_f64(Dtype::I64, &[1], &[1e6]).expect("filled")).expect("new");
    model.write(&path, None, Durability::Renamed).expect("written");
    let norm = Reader::open(&path).expect("good").l2_norm().expect("readable");
    assert_eq!(norm, (140_000.0_f64 + 90_000.0).sqrt());
    assert_eq!(norm.to_bits(), model.l2_norm().to_bits());
}

#[test]
fn the_distance_is_the_norm_of_the_change_and_needs_the_same_tensors() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, values: &[f32], half: f64, count: f64| {
        let path = folder.path().join(name);
        let mut model = Parameters::new();
        model.insert("a", Tensor::from_f32(&[values.len()], values).expect("filled")).expect("new");
        let half = Tensor::from_f64(Dtype::F16, &[1], &[half]).expect("filled");
        model.insert("b", half).expect("new");
        let count = Tensor::from_f64(Dtype::I64, &[1], &[count]).expect("filled");
        model.insert("c", count).expect("new");
        model.write(&path, None, Durability::Renamed).expect("written");
        Reader::open(&path).expect("good")
    };
    let before = write("before", &vec![10.0; 140_000], 300.0, 1.0);
    let after = write("after", &vec![11.0; 140_000], 0.0, 1e6);
    let distance = after.l2_distance(&before).expect("readable");
    assert_eq!(distance, (140_000.0_f64 + 90_000.0).sqrt());
    assert_eq!(before.l2_distance(&after).expect("readable").to_bits(), distance.to_bits());
    assert_eq!(after.l2_distance(&after).expect("readable"), 0.0);
    let shorter = write("shorter", &[11.0], 0.0, 1.0);
    assert!(matches!(after.l2_distance(&shorter), Err(Error::OtherTensors)));
}

#[test]
fn differences_name_missing_unexpected_and_changed_tensors() {
    let schema = |tensors: &[(&str, Dtype, &[usize])]| {
        let describe =
            |(name, dtype, shape): &(&str, Dtype, &[usize])| TensorSchema::new(name, *dtype, shape);
        Schema::new(tensors.iter().map(describe).collect()).expect("good")
    };
    let expected =
        schema(&[("a", Dtype::F32, &[2]), ("b", Dtype::F32, &[2]), ("c", Dtype::F32, &[2])]);
    let actual =
        schema(&[("b", Dtype::F32, &[2]), ("c", Dtype::F64, &[2, 1]), ("d", Dtype::U8, &[])]);
    let differences: Vec<_> =
        expected.differences(&actual).iter().map(ToString::to_string).collect();
    assert_eq!(
        differences,
        [
            r#"tensor "a" is missing"#,
            r#"tensor "c" is F64 [2, 1], expected F32 [2]"#,
            r#"tensor "d" is not expected"#,
        ]
    );
    assert!(expected.differences(&expected).is_empty());
}
