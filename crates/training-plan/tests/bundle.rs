//! The bundle has one spelling, and hostile bytes end in one error.

use std::collections::BTreeMap;

use protocol::{Digest, RuntimeKind};
use training_plan::Bundle;
use training_plan::bundle::{Error, LARGEST};

fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_bundle_is_compact_json_and_its_digest_is_that_of_its_bytes() {
    let bundle = Bundle::native("[data]\nscale = \"scale.toml\"\n", |name| {
        assert_eq!(name, "scale.toml");
        Ok("é = 1\n".to_owned())
    });
    let bundle = bundle.expect("the files are plain");
    let expected = "{\"format\":\"wardround-plan/1\",\"runtime\":\"native\",\"files\":\
         {\"plan.toml\":\"[data]\\nscale = \\\"scale.toml\\\"\\n\",\"scale.toml\":\"é = 1\\n\"}}";
    assert_eq!(std::str::from_utf8(bundle.bytes()), Ok(expected));
    assert_eq!(bundle.digest(), Digest::of(expected.as_bytes()));
    assert_eq!(Bundle::parse(bundle.bytes()).expect("it is a bundle"), bundle);
    assert_eq!(bundle.file("scale.toml"), Some("é = 1\n"));
}

#[test]
fn another_spelling_of_the_same_bundle_is_refused() {
    let spellings = [
        r#"{"format":"wardround-plan/1","runtime":"native","files":{"plan.toml":"x"}} "#,
        r#"{"runtime":"native","format":"wardround-plan/1","files":{"plan.toml":"x"}}"#,
        r#"{"format":"wardround-plan/1","runtime":"native","files":{"plan.toml":"\u0078"}}"#,
        r#"{"format":"wardround-plan/1","runtime":"native","files":{"plan.toml":"y","plan.toml":"x"}}"#,
    ];
    for spelling in spellings {
        assert!(matches!(Bundle::parse(spelling.as_bytes()), Err(Error::Spelling)), "{spelling}");
    }
}

#[test]
fn hostile_bytes_end_in_one_error() {
    let parse =
        |text: &str| Bundle::parse(text.as_bytes()).expect_err("it is no bundle").to_string();
    assert_eq!(parse(""), "plan bundle is not readable");
    assert_eq!(parse(&"[".repeat(100_000)), "plan bundle is not readable");
    assert_eq!(
        parse(r#"{"format":"wardround-plan/2","runtime":"native","files":{}}"#),
        "plan bundle has format \"wardround-plan/2\", expected \"wardround-plan/1\""
    );
    assert_eq!(
        parse(r#"{"format":"wardround-plan/1","runtime":"native","files":{}}"#),
        "plan bundle has no file \"plan.toml\""
    );
    assert_eq!(
        parse(r#"{"format":"wardround-plan/1","runtime":"native","files":{},"more":1}"#),
        "plan bundle is not readable"
    );
    assert!(matches!(
        Bundle::parse(&vec![b' '; LARGEST + 1]),
        Err(Error::TooLarge { size }) if size == LARGEST + 1
    ));
}

#[test]
fn file_names_are_plain_and_few() {
    for name in ["", ".hidden", "a/b", "..", "a b", "é", "a\\b", &"n".repeat(65)] {
        let error = Bundle::new(RuntimeKind::Native, files(&[("plan.toml", ""), (name, "")]));
        assert!(matches!(error, Err(Error::FileName { .. })), "{name:?}");
    }
    let mut many = files(&[("plan.toml", "")]);
    many.extend((0..32).map(|index| (format!("{index}.toml"), String::new())));
    let error = Bundle::new(RuntimeKind::Native, many).expect_err("they are too many");
    assert_eq!(error.to_string(), "plan bundle has 33 files, at most 32 are allowed");
}

#[test]
fn a_bundle_larger_than_a_mebibyte_cannot_be_made() {
    let text = "\n".repeat(LARGEST / 2);
    let error = Bundle::new(RuntimeKind::Native, files(&[("plan.toml", &text)]));
    assert!(matches!(error, Err(Error::TooLarge { .. })), "a line break takes two bytes in JSON");
}

#[test]
fn a_named_file_that_cannot_be_read_is_named() {
    let error = Bundle::native("[data]\nscale = \"scale.toml\"\n", |_| {
        Err(std::io::Error::from(std::io::ErrorKind::NotFound))
    });
    let error = error.expect_err("the file is not there");
    assert_eq!(error.to_string(), "plan file \"scale.toml\" cannot be read");
}
