//! How strictly a policy file is read: every mistake is one line that names the file, the line, the key and the rule.

use node::policy::{Error, Setting};
use node::{Config, Folder, Policy};
use proptest::prelude::*;

fn config() -> Config {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::new(home.path());
    node::init(&folder, &"north".parse().unwrap(), &"127.0.0.1:7400".parse().unwrap()).unwrap();
    Config::load(&folder, []).unwrap()
}

fn read(text: &str) -> Result<Policy, String> {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("policy.toml");
    std::fs::write(&file, text).unwrap();
    Policy::load(&file, &config()).map_err(|error| {
        assert!(matches!(error, Error::Line { .. }), "{error:?}");
        error.to_string().replace(&file.display().to_string(), "policy.toml")
    })
}

/// What is said of each of these lines below `[defaults]`.
fn mistakes(lines: &[&str]) -> String {
    let said = lines.iter().map(|line| {
        let error = read(&format!("[defaults]\n\n{line}\n")).unwrap_err();
        assert_eq!(error.lines().count(), 1, "{error}");
        // The list of all keys is told once.
        let shown = error.split(", expected one of").next().unwrap();
        format!("{line}\n    {shown}\n")
    });
    said.collect()
}

#[test]
fn a_key_that_is_unknown_or_of_another_type_is_named_with_its_line_and_rule() {
    insta::assert_snapshot!(mistakes(&[
        "researcher = [\"ada\"]",
        "researchers = \"ada\"",
        "researchers = [\"two words\"]",
        "researchers = [7]",
        "runtimes = [\"native\", \"java\"]",
        "modes = [\"Train\"]",
        "rounds_per_day = 0",
        "rounds_per_day = -1",
        "rounds_per_day = 1.5",
        "rounds_per_day = \"1\"",
        "rounds_per_day = 99999999999999999999",
        "maximum_seconds = 0",
        "memory_limit = 0",
        "disk_limit = true",
        "gpu = 1",
        "minimum_samples = -1",
        "maximum_update_norm = 0",
        "maximum_update_norm = inf",
        "maximum_update_norm = nan",
        "maximum_update_bytes = 0",
        "metrics = \"ACCURACY\"",
        "metrics = [\"\"]",
        "metric_digits = 0",
        "metric_digits = 16",
        "metric_ranges = 5",
        "metric_ranges = { loss = 5 }",
        "metric_ranges = { loss = { maximum = \"5\" } }",
        "metric_ranges = { loss = { most = 5 } }",
        "metric_ranges = { loss = {} }",
        "metric_ranges = { loss = { minimum = 2, maximum = 1 } }",
        "hold = \"yes\"",
        "hold = true\nhold = false",
        "hold = = true",
    ]));
}

#[test]
fn an_impossible_bound_on_an_argument_is_named_with_its_line_and_rule() {
    insta::assert_snapshot!(mistakes(&[
        "arguments = 5",
        "arguments.epoch = { maximum = 5 }",
        "arguments.epochs = 5",
        "arguments.epochs = { maximum = \"5\" }",
        "arguments.epochs = { maximum = -1 }",
        "arguments.epochs = { minimum = 5, maximum = 2 }",
        "arguments.epochs = {}",
        "arguments.epochs = \"always\"",
        "arguments.epochs = { one_of = [] }",
        "arguments.epochs = { one_of = [1.5] }",
        "arguments.epochs = { one_of = [1], maximum = 2 }",
        "arguments.num_updates = { maximum = 0 }",
        "arguments.stratify = { maximum = 1 }",
        "arguments.stratify = true",
        "arguments.stratify = { one_of = [1] }",
        "arguments.test_metric = { one_of = [1] }",
        "arguments.test_ratio = { maximum = -0.5 }",
        "arguments.dp_args = { maximum = 1 }",
        "arguments.dp_args = { one_of = [1] }",
        "arguments.loader_args = { batch_sise = { minimum = 1 } }",
        "arguments.loader_args = \"required\"",
        "arguments = { batch_size = { minimum = 1 }, loader_args = { batch_size = { minimum = 2 } } }",
    ]));
}

#[test]
fn tables_that_are_unknown_or_misnamed_are_named() {
    let said = [
        "hold = true",
        "[default]\nhold = true",
        "defaults = 5",
        "dataset = \"ward\"",
        "[dataset]\nward = 5",
        "[dataset.\"two words\"]\nhold = true",
        "[dataset.ward]\nhold = 1",
        "[dataset.ward]\nname = \"ward\"",
    ]
    .map(|text| {
        let error = read(text).unwrap_err();
        let shown = error.split(", expected one of").next().unwrap().to_owned();
        format!("{}\n    {shown}\n", text.replace('\n', "\\n"))
    });
    insta::assert_snapshot!(said.concat());
}

#[test]
fn an_unknown_key_is_answered_with_all_that_are_known() {
    let error = read("[defaults]\nepochs = 5").unwrap_err();
    let (_, known) = error.split_once(", expected one of ").unwrap();
    let reference = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/policy-file.md"
    ))
    .unwrap();
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::new(home.path());
    node::init(&folder, &"north".parse().unwrap(), &"127.0.0.1:7400".parse().unwrap()).unwrap();
    let written = std::fs::read_to_string(folder.policy()).unwrap();
    for key in known.split(", ") {
        assert!(reference.contains(&format!("| `{key}` |")), "the reference page explains {key}");
        let is_written = written.contains(&format!("# {key} = "))
            || written.contains(&format!("# [defaults.{key}]"));
        assert!(is_written, "the written file has {key}");
    }
    let uncommented: String = written
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_toml(rest)).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let policy = read(&uncommented).unwrap_or_else(|error| panic!("{error}\n{uncommented}"));
    assert_eq!(policy.datasets().count(), 1, "all that is commented out can be used");
}

/// Whether a comment's text is a line of the file rather than a sentence.
fn is_toml(line: &str) -> bool {
    let key = line.split([' ', ']']).next().unwrap_or_default();
    let is_key = key.chars().all(|c| c.is_ascii_lowercase() || "_.[".contains(c));
    is_key && (line.starts_with('[') || line.contains(" = "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in a file, reading it ends with a policy or with one line.
    #[test]
    fn any_text_is_a_policy_or_one_mistake(
        lines in proptest::collection::vec(
            prop_oneof![
                Just("[defaults]".to_owned()),
                Just("[dataset.ward]".to_owned()),
                Just("[defaults.arguments]".to_owned()),
                "[a-z_.]{1,12} = (true|[0-9]{1,3}|\"[a-z]{0,5}\"|\\[\\]|\\{ (minimum|maximum) = [0-9] \\})",
                "(hold|gpu|metric_digits|epochs|metrics) = (true|[0-9]{1,2}|\\[\\])",
                any::<String>(),
            ],
            0..6,
        )
    ) {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("policy.toml");
        let text = lines.join("\n");
        std::fs::write(&file, &text).unwrap();
        match Policy::load(&file, &config()) {
            Ok(policy) => {
                let settings: Vec<Setting> = policy.settings(&config(), None);
                prop_assert!(settings.len() > 10);
            }
            Err(error) => {
                let said = error.to_string();
                let Error::Line { line, .. } = error else { panic!("{said}") };
                prop_assert!((1..=1 + text.matches('\n').count()).contains(&line), "{}", said);
            }
        }
    }
}
