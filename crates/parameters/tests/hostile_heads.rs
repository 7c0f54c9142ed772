//! Heads that nobody of good will writes: each gives one clear error, none a panic.

use parameters::{Error, Limits, Parameters, Reader, header};
use proptest::prelude::*;

fn file(json: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json);
    bytes.extend_from_slice(data);
    bytes
}

fn tensor(dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

/// Reads the bytes in both ways, which must agree, and returns the message.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hostile.safetensors");
    std::fs::write(&path, bytes).expect("written");
    let from_file = Reader::open(&path).expect_err("it is hostile").to_string();
    let from_memory = Parameters::from_bytes(bytes).expect_err("it is hostile").to_string();
    let from_map = parameters::mapped::Mapped::open(&path).map(|_| ());
    assert_eq!(from_file, from_memory);
    if !bytes.is_empty() {
        assert_eq!(from_file, from_map.expect_err("it is hostile").to_string());
    }
    from_file
}

fn assert_refusals(cases: Vec<(&str, Vec<u8>, &str)>) {
    for (case, bytes, expected) in cases {
        assert_eq!(refusal(&bytes), expected, "{case}");
    }
}

#[test]
fn a_length_that_does_not_fit_has_one_clear_error() {
    let good = tensor("F32", "[2]", 0, 8);
    assert_refusals(vec![
        ("empty", vec![], "the file has 0 bytes, its head needs 8"),
        ("short prefix", vec![1, 0, 0], "the file has 3 bytes, its head needs 8"),
        (
            "huge length",
            vec![0xff; 64],
            "the header has 18446744073709551615 bytes, at most 8388608 are allowed",
        ),
        (
            "length beyond the file",
            [100_u64.to_le_bytes().as_slice(), b"{}"].concat(),
            "the file has 10 bytes, its head needs 108",
        ),
        ("no header", file(b"", b""), "the header is not a JSON object"),
        ("array", file(b"[]", b""), "the header is not a JSON object"),
        ("leading space", file(b" {}", b""), "the header is not a JSON object"),
        (
            "data without tensors",
            file(b"{}", b"x"),
            "the tensors fill 0 data bytes, the file has 1",
        ),
        (
            "one byte short",
            file(format!(r#"{{"a":{good}}}"#).as_bytes(), &[0; 7]),
            "the tensors fill 8 data bytes, the file has 7",
        ),
        (
            "one byte more",
            file(format!(r#"{{"a":{good}}}"#).as_bytes(), &[0; 9]),
            "the tensors fill 8 data bytes, the file has 9",
        ),
    ]);
}

#[test]
fn tensors_that_do_not_lie_side_by_side_have_one_clear_error() {
    let good = tensor("F32", "[2]", 0, 8);
    assert_refusals(vec![
        (
            "duplicate name",
            file(format!(r#"{{"a":{good},"a":{good}}}"#).as_bytes(), &[0; 8]),
            r#"tensor name "a" is used twice"#,
        ),
        (
            "overlap",
            file(
                format!(r#"{{"a":{good},"b":{}}}"#, tensor("F32", "[2]", 4, 12)).as_bytes(),
                &[0; 12],
            ),
            r#"tensor "b" begins at byte 4, the tensor before it ends at 8"#,
        ),
        (
            "gap",
            file(
                format!(r#"{{"a":{good},"b":{}}}"#, tensor("F32", "[1]", 12, 16)).as_bytes(),
                &[0; 16],
            ),
            r#"tensor "b" begins at byte 12, the tensor before it ends at 8"#,
        ),
        (
            "gap at the begin",
            file(format!(r#"{{"a":{}}}"#, tensor("F32", "[1]", 4, 8)).as_bytes(), &[0; 8]),
            r#"tensor "a" begins at byte 4, the tensor before it ends at 0"#,
        ),
        (
            "misaligned",
            file(
                format!(
                    r#"{{"a":{},"b":{}}}"#,
                    tensor("U8", "[3]", 0, 3),
                    tensor("F32", "[1]", 3, 7)
                )
                .as_bytes(),
                &[0; 7],
            ),
            r#"tensor "b" begins at byte 3, not at a multiple of 4"#,
        ),
        (
            "end before begin",
            file(format!(r#"{{"a":{}}}"#, tensor("F32", "[1]", 8, 4)).as_bytes(), &[0; 8]),
            r#"tensor "a" lies at bytes 8 to 4, its shape needs 4 bytes"#,
        ),
        (
            "wrong length",
            file(format!(r#"{{"a":{}}}"#, tensor("F32", "[3]", 0, 8)).as_bytes(), &[0; 8]),
            r#"tensor "a" lies at bytes 0 to 8, its shape needs 12 bytes"#,
        ),
        (
            "offsets at the end of the numbers",
            file(
                format!(r#"{{"a":{}}}"#, tensor("U8", "[1]", u64::MAX - 1, u64::MAX)).as_bytes(),
                &[0; 1],
            ),
            r#"tensor "a" begins at byte 18446744073709551614, the tensor before it ends at 0"#,
        ),
    ]);
}

#[test]
fn a_tensor_that_cannot_be_has_one_clear_error() {
    let good = tensor("F32", "[2]", 0, 8);
    assert_refusals(vec![
        (
            "overflowing shape",
            file(
                format!(r#"{{"a":{}}}"#, tensor("F32", "[4294967296,4294967296]", 0, 0)).as_bytes(),
                b"",
            ),
            r#"the size of tensor "a" overflows"#,
        ),
        (
            "tensors whose sum overflows",
            file(
                format!(
                    r#"{{"a":{0},"b":{0},"c":{0}}}"#,
                    tensor("U8", "[9223372036854775807]", 0, 9_223_372_036_854_775_807)
                )
                .as_bytes(),
                b"",
            ),
            r#"the size of tensor "b" overflows"#,
        ),
        (
            "too many dimensions",
            file(
                format!(r#"{{"a":{}}}"#, tensor("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1)).as_bytes(),
                b"x",
            ),
            r#"tensor "a" has 9 dimensions, at most 8 are allowed"#,
        ),
        (
            "unknown type",
            file(format!(r#"{{"a":{}}}"#, tensor("F8_E4M3", "[1]", 0, 1)).as_bytes(), b"x"),
            r#"the element type of tensor "a" is not one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL"#,
        ),
        (
            "empty name",
            file(format!(r#"{{"":{good}}}"#).as_bytes(), &[0; 8]),
            r#"tensor name "" is empty, reserved, or holds a control character"#,
        ),
        (
            "control character in a name",
            file(format!(r#"{{"a\u001b[2J":{good}}}"#).as_bytes(), &[0; 8]),
            r#"tensor name "a\u{1b}[2J" is empty, reserved, or holds a control character"#,
        ),
        (
            "long name",
            file(format!(r#"{{"{}":{good}}}"#, "n".repeat(257)).as_bytes(), &[0; 8]),
            "a tensor name has 257 bytes, at most 256 are allowed",
        ),
    ]);
}

#[test]
fn json_of_another_form_is_refused_with_its_place() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("truncated JSON", br#"{"a":{"dtype":"F32""#.to_vec()),
        ("deep arrays", deep.into_bytes()),
        ("deep metadata", br#"{"__metadata__":{"a":{"b":{"c":{}}}}}"#.to_vec()),
        ("metadata twice", br#"{"__metadata__":{},"__metadata__":{}}"#.to_vec()),
        ("metadata key twice", br#"{"__metadata__":{"a":"1","a":"2"}}"#.to_vec()),
        ("number as metadata", br#"{"__metadata__":{"a":1}}"#.to_vec()),
        (
            "unknown member",
            br#"{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":0}}"#.to_vec(),
        ),
        (
            "member twice",
            br#"{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}"#.to_vec(),
        ),
        ("missing member", br#"{"a":{"dtype":"U8","shape":[]}}"#.to_vec()),
        (
            "negative dimension",
            br#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#.to_vec(),
        ),
        ("fraction", br#"{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}"#.to_vec()),
        (
            "number too large",
            br#"{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}"#.to_vec(),
        ),
        ("three offsets", br#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}"#.to_vec()),
        ("not UTF-8", b"{\"\xff\xfe\":1}".to_vec()),
        ("lone surrogate", br#"{"\ud800":1}"#.to_vec()),
        ("text after the object", br#"{} x"#.to_vec()),
        ("zero byte after the object", b"{}\0".to_vec()),
    ];
    for (case, json) in cases {
        let message = refusal(&file(&json, b"x"));
        let known = "the header is not the JSON of a safetensors file: ";
        assert!(message.starts_with(known), "{case}: {message}");
        assert!(message.len() < 300, "{case}: {message}");
    }
}

#[test]
fn a_limit_holds_before_memory_is_spent() {
    let entry = tensor("U8", "[0]", 0, 0);
    let names: Vec<_> = (0..5).map(|number| format!(r#""{number}":{entry}"#)).collect();
    let bytes = file(format!("{{{}}}", names.join(",")).as_bytes(), b"");
    let limits = Limits { tensors: 4, ..Limits::default() };
    let error = Parameters::from_bytes_within(&bytes, &limits).expect_err("one too many");
    assert_eq!(error.to_string(), "the file has more than 4 tensors");
    assert!(Parameters::from_bytes(&bytes).is_ok());

    let limits = Limits { data_bytes: 7, ..Limits::default() };
    let bytes = file(format!(r#"{{"a":{}}}"#, tensor("U8", "[8]", 0, 8)).as_bytes(), &[0; 8]);
    let error = Parameters::from_bytes_within(&bytes, &limits).expect_err("too long");
    assert_eq!(error.to_string(), "the file has 8 data bytes, at most 7 are allowed");
}

#[test]
fn a_file_that_shrinks_under_its_reader_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let json = format!(r#"{{"a":{}}}"#, tensor("U8", "[8]", 0, 8));
    std::fs::write(&path, file(json.as_bytes(), &[1; 8])).expect("written");
    let reader = Reader::open(&path).expect("it is good");
    std::fs::write(&path, b"").expect("written");
    assert!(matches!(reader.check_finite(), Err(Error::Io { .. })));
}

#[test]
fn only_the_bytes_of_our_writer_are_canonical() {
    let canonical = |json: &str, data: &[u8]| {
        let bytes = file(json.as_bytes(), data);
        Parameters::from_bytes_within(&bytes, &Limits::default()).expect("good").1.is_canonical()
    };
    let a = r#""a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
    let b = r#""b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}"#;
    let pad = |json: String| format!("{json:<width$}", width = json.len().next_multiple_of(8));
    assert!(canonical(&pad(format!("{{{a},{b}}}")), b"xy"));
    assert!(canonical(&pad(format!(r#"{{"__metadata__":{{"description":"d"}},{a}}}"#)), b"x"));
    assert!(!canonical(&format!("{}        ", pad(format!("{{{a},{b}}}"))), b"xy"), "more spaces");
    assert!(!canonical(&pad(format!("{{{b},{a}}}")), b"xy"), "other order");
    assert!(!canonical(&pad(format!(r#"{{"__metadata__":{{"x":"d"}},{a}}}"#)), b"x"), "other key");
    let swapped = [a.replace("[0,1]", "[1,2]"), b.replace("[1,2]", "[0,1]")].join(",");
    assert!(!canonical(&pad(format!("{{{swapped}}}")), b"xy"), "other order of the data");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Parameters::from_bytes(&bytes);
        let _ = Parameters::from_bytes(&file(&bytes, &[]));
    }

    #[test]
    fn no_json_of_nearly_the_right_form_panics(
        json in r#"\{("[ab]":\{"dtype":"(F32|U8|BOOL|X)","shape":\[[0-9]{0,20}(,[0-3])?\],"data_offsets":\[[0-9]{1,20},[0-9]{1,2}\]\},?){0,3}\} {0,3}"#,
        data in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        if let Ok((parameters, header)) =
            Parameters::from_bytes_within(&file(json.as_bytes(), &data), &Limits::default())
        {
            prop_assert_eq!(header.schema().data_bytes(), data.len() as u64);
            prop_assert_eq!(&parameters.schema().expect("it was read"), header.schema());
        }
    }

    #[test]
    fn a_flipped_bit_of_a_good_file_never_panics(position in 0_usize..200, bit in 0_u8..8) {
        let mut bytes = good_file();
        let position = position % bytes.len();
        bytes[position] ^= 1 << bit;
        let _ = Parameters::from_bytes(&bytes);
    }

    #[test]
    fn every_cut_of_a_good_file_is_an_error(length in 0_usize..1000) {
        let bytes = good_file();
        prop_assert!(Parameters::from_bytes(&bytes[..length % bytes.len()]).is_err());
    }
}

fn good_file() -> Vec<u8> {
    let mut parameters = Parameters::new();
    for name in ["a", "b"] {
        let tensor = parameters::Tensor::from_f32(&[3], &[1.0, 2.0, 3.0]).expect("filled");
        parameters.insert(name, tensor).expect("new");
    }
    parameters.to_bytes(Some("d")).expect("short")
}

#[test]
fn a_head_that_no_reader_takes_is_not_written() {
    let many = (0..65_537).map(|number| {
        parameters::TensorSchema::new(&number.to_string(), parameters::Dtype::U8, &[0])
    });
    let schema = parameters::Schema::new(many.collect()).expect("good names");
    assert!(matches!(header::encode(&schema, None), Err(header::Error::TooManyTensors { .. })));
    let description = "d".repeat(9 << 20);
    let schema = parameters::Schema::new(vec![]).expect("empty");
    let error = header::encode(&schema, Some(&description)).expect_err("too long");
    assert!(matches!(error, header::Error::HeaderTooLong { .. }));
}
