//! Arbitrary texts and bytes never panic: they end in one error, or in something that is right.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::RuntimeKind;
use training_plan::experiment::Experiment;
use training_plan::plan::Scale;
use training_plan::{Bundle, Plan};

/// Pieces of real files, put together wrongly.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[plan]\n",
        "[data]\n",
        "[model]\n",
        "[loss]\n",
        "[experiment]\n",
        "[training_args]\n",
        "[data.categories]\n",
        "name = \"x\"\n",
        "runtime = \"native\"\n",
        "task = \"binary\"\n",
        "target = \"y\"\n",
        "classes = [\"a\", \"b\"]\n",
        "features = \"*\"\n",
        "kind = \"sgd\"\n",
        "layers = [{ dense = { units = 1 } }, \"relu\"]\n",
        "layers = [[]]\n",
        "rounds = 3\n",
        "tags = [\"t\"]\n",
        "seed = 1\n",
        "scale = \"scale.toml\"\n",
        "standardize = \"declared\"\n",
        "a.b.c = 1\n",
        "x = 1e999\n",
        "y = 0x7f\n",
        "epochs = 1\n",
        "\"é\" = '''\n'''\n",
        "= 1\n",
        "plan = \"p\"\n",
        "[[plan]]\n",
        "round_deadline = \"9\u{661}s\"\n",
        "\u{0}",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

fn read_all(text: &str) {
    let files = BTreeMap::from([
        ("plan.toml".to_owned(), text.to_owned()),
        ("scale.toml".to_owned(), text.to_owned()),
    ]);
    let bundle = Bundle::new(RuntimeKind::Native, files).expect("the texts are short");
    assert_eq!(Bundle::parse(bundle.bytes()).expect("it is a bundle"), bundle);
    if let Err(error) = Plan::parse(&bundle) {
        let lines = text.lines().count().max(1) + 1;
        assert!((1..=lines).contains(&error.line()), "{error}: line {} of {lines}", error.line());
    }
    if let Err(error) = Experiment::parse("experiment.toml", text) {
        assert!(!error.to_string().is_empty());
    }
    drop(Scale::parse("scale.toml", text));
    drop(Bundle::native(text, |_| Ok(text.to_owned())));
}

proptest! {
    #[test]
    fn arbitrary_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        read_all(&text);
    }

    #[test]
    fn wrongly_joined_pieces_are_read_without_a_panic(text in pieces()) {
        read_all(&text);
    }

    #[test]
    fn arbitrary_bytes_are_no_bundle(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Bundle::parse(&bytes).is_err());
    }

    #[test]
    fn a_changed_byte_of_a_bundle_changes_its_digest_or_is_refused(
        at in 0_usize..90,
        byte in any::<u8>(),
    ) {
        let files = BTreeMap::from([("plan.toml".to_owned(), "[plan]\nname = \"x\"\n".to_owned())]);
        let bundle = Bundle::new(RuntimeKind::Native, files).expect("the files are plain");
        let mut bytes = bundle.bytes().to_vec();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(other) = Bundle::parse(&bytes) {
            prop_assert_ne!(other.digest(), bundle.digest());
        }
    }
}
