//! What a native plan may say, and how each refusal reads.

use std::collections::BTreeMap;

use protocol::RuntimeKind;
use training_plan::metric::Metric;
use training_plan::plan::{
    Encoding, Features, InputError, Missing, ScheduleShape, ScheduleUnit, Standardize, Task,
};
use training_plan::{Bundle, Plan, document};

const LOGISTIC: &str = r#"[plan]
name = "breast-cancer-logistic"
runtime = "native"
[data]
task = "binary"
target = "diagnosis"
classes = ["B", "M"]
features = "*"
missing = "error"
standardize = "declared"
scale = "scale.toml"
[metrics]
names = ["ACCURACY", "ROC_AUC", "LOG_LOSS"]
default = "ACCURACY"
[model]
init = "zeros"
layers = [{ dense = { units = 1 } }]
[loss]
kind = "binary_cross_entropy"
[optimizer]
kind = "sgd"
"#;

const SCALE: &str = r#"radius = { mean = 14.1, deviation = 3.5 }
[texture]
mean = 19
deviation = 4.3
"#;

fn bundle(plan: &str) -> Bundle {
    let files = BTreeMap::from([
        ("plan.toml".to_owned(), plan.to_owned()),
        ("scale.toml".to_owned(), SCALE.to_owned()),
    ]);
    Bundle::new(RuntimeKind::Native, files).expect("the files are plain")
}

fn refusal(plan: &str) -> document::Error {
    Plan::parse(&bundle(plan)).expect_err("the plan breaks a rule")
}

/// The refusal of the logistic plan after one replacement.
fn refused(from: &str, to: &str) -> String {
    assert!(LOGISTIC.contains(from), "{from:?} stands in the plan");
    let error = refusal(&LOGISTIC.replacen(from, to, 1));
    match error.hint() {
        Some(hint) => format!("{error} | {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn the_logistic_plan_says_what_it_says() {
    let plan = Plan::parse(&bundle(LOGISTIC)).expect("the plan is right");
    assert_eq!(plan.name(), "breast-cancer-logistic");
    assert_eq!(plan.data().task(), Task::Binary);
    assert_eq!(plan.data().target(), "diagnosis");
    assert_eq!(plan.data().classes(), ["B", "M"]);
    assert_eq!(plan.data().features(), &Features::All);
    assert_eq!(plan.data().missing(), Missing::Error);
    let Standardize::Declared(scale) = plan.data().standardize() else {
        panic!("the scale is declared");
    };
    assert_eq!(scale.column("texture").map(|column| column.apply(19.0)), Some(0.0));
    assert_eq!(plan.metrics().names(), [Metric::Accuracy, Metric::RocAuc, Metric::LogLoss]);
    assert_eq!(plan.metrics().default(), Metric::Accuracy);
    let [dense] = plan.model().layers() else { panic!("there is one layer") };
    assert_eq!((dense.name.as_str(), &dense.fields["units"], dense.line), ("dense", &1.into(), 17));
    assert_eq!(plan.loss().component().name, "binary_cross_entropy");
    assert_eq!(plan.optimizer().name, "sgd");
}

#[test]
fn what_is_left_out_has_a_default() {
    let text = r#"
[plan]
name = "p"
runtime = "native"
[data]
task = "regression"
target = "days"
[model]
layers = [{ dense = { units = 8 } }, "relu", { dense = { units = 1 } }]
[loss]
kind = "huber"
delta = 2.5
[optimizer]
kind = "adam"
beta_1 = 0.8
[schedule]
kind = "cosine"
unit = "epoch"
length = 20
warm_up = 2
"#;
    let plan = Plan::parse(&bundle(text)).expect("the plan is right");
    assert_eq!(plan.data().missing(), Missing::Error);
    assert_eq!(plan.data().standardize(), &Standardize::None);
    assert_eq!(plan.data().outputs(), 1);
    assert_eq!(plan.metrics().names(), [Metric::MeanSquareError]);
    let names: Vec<&str> = plan.model().layers().iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["dense", "relu", "dense"]);
    assert_eq!(plan.loss().component().fields["delta"], 2.5);
    assert_eq!(plan.optimizer().fields["beta_1"], 0.8);
    let schedule = plan.schedule();
    assert_eq!((schedule.unit(), schedule.warm_up()), (ScheduleUnit::Epoch, 2));
    assert_eq!(schedule.shape(), ScheduleShape::Cosine { length: 20, minimum: 0.0 });
}

#[test]
fn each_refusal_names_line_key_and_rule() {
    for ((from, to), message) in GOLDEN {
        assert_eq!(refused(from, to), *message, "{from} -> {to}");
    }
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let message = refused("[metrics]", "[metrics");
    assert!(message.starts_with("plan.toml, line 12: not valid TOML: "), "{message}");
}

#[test]
fn a_scale_without_a_deviation_is_refused_in_its_own_file() {
    let parse = |text| document_error(training_plan::plan::Scale::parse("scale.toml", text));
    assert_eq!(
        parse("a = { mean = 1, deviation = 1 }\nb = { mean = 0.5, deviation = 0 }\n"),
        "scale.toml, line 2: key \"b.deviation\" must be greater than 0, found 0"
    );
    assert_eq!(parse("a = { mean = 1 }\n"), "scale.toml, line 1: key \"a.deviation\" is missing");
    assert_eq!(
        parse("a = { mean = 1, deviaton = 1 }\n"),
        "scale.toml, line 1: unknown key \"a.deviaton\""
    );
}

fn document_error<T: std::fmt::Debug>(result: Result<T, document::Error>) -> String {
    result.expect_err("the text breaks a rule").to_string()
}

#[test]
fn an_error_can_carry_the_name_that_the_file_has_on_disk() {
    let error = refusal("x").in_file("logistic.toml");
    assert!(error.to_string().starts_with("logistic.toml, line 1: "));
}

#[test]
fn categories_are_declared_for_features_only() {
    let declared = |features: &str, categories: &str| {
        LOGISTIC
            .replace("features = \"*\"", features)
            .replace("standardize = \"declared\"\nscale = \"scale.toml\"", "standardize = \"none\"")
            .replace("[metrics]", &format!("[data.categories]\n{categories}\n[metrics]"))
    };
    let plan = Plan::parse(&bundle(&declared("features = \"*\"", "sex = [\"f\", \"m\"]")));
    let inputs = plan.expect("the plan is right").inputs(&["age".to_owned(), "sex".to_owned()]);
    let inputs = inputs.expect("the columns are the plan's");
    assert_eq!(inputs[0].encoding, Encoding::Number(None));
    assert_eq!(inputs[1].encoding, Encoding::OneHot(vec!["f".to_owned(), "m".to_owned()]));
    assert_eq!(inputs.iter().map(training_plan::plan::Input::width).sum::<usize>(), 3);

    let error = refusal(&declared("features = [\"age\"]", "sex = [\"f\", \"m\"]"));
    assert_eq!(
        error.to_string(),
        "plan.toml, line 12: key \"data.categories.sex\" must be a feature to have categories"
    );
    let error = refusal(&declared("features = \"*\"", "sex = [\"f\"]"));
    assert_eq!(
        error.to_string(),
        "plan.toml, line 12: key \"data.categories.sex\" must have 2 to 1000 categories"
    );
}

#[test]
fn columns_that_are_not_the_plans_are_refused() {
    let plan = Plan::parse(&bundle(LOGISTIC)).expect("the plan is right");
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(plan.inputs(&[]), Err(InputError::None));
    assert_eq!(
        plan.inputs(&columns(&["texture", "radius"])),
        Err(InputError::Order("radius".to_owned()))
    );
    assert_eq!(
        plan.inputs(&columns(&["diagnosis", "radius"])),
        Err(InputError::Target("diagnosis".to_owned()))
    );
    assert_eq!(
        plan.inputs(&columns(&["area", "radius"])),
        Err(InputError::NoScale("area".to_owned()))
    );
    let named = LOGISTIC.replace("\"*\"", "[\"texture\", \"radius\"]");
    let plan = Plan::parse(&bundle(&named)).expect("the plan is right");
    assert_eq!(
        plan.inputs(&columns(&["radius"])),
        Err(InputError::NotTheFeatures("texture".to_owned()))
    );
    assert!(plan.inputs(&columns(&["radius", "texture"])).is_ok());
}

/// A replacement in the logistic plan, and the message that it leads to.
const GOLDEN: &[((&str, &str), &str)] = &[
    (
        ("task = \"binary\"", "taks = \"binary\""),
        "plan.toml, line 5: unknown key \"data.taks\" | did you mean \"task\"?",
    ),
    (
        ("[metrics]", "[metric]"),
        "plan.toml, line 12: unknown key \"metric\" | did you mean \"metrics\"?",
    ),
    (
        ("task = \"binary\"", "task = \"binry\""),
        "plan.toml, line 5: key \"data.task\" must be one of binary, multiclass, regression, \
             found \"binry\" | did you mean \"binary\"?",
    ),
    (("task = \"binary\"\n", ""), "plan.toml, line 4: key \"data.task\" is missing"),
    (("[optimizer]\nkind = \"sgd\"\n", ""), "plan.toml, line 1: key \"optimizer\" is missing"),
    (
        ("target = \"diagnosis\"", "target = 3"),
        "plan.toml, line 6: key \"data.target\" must be a string, found an integer",
    ),
    (
        ("target = \"diagnosis\"", "target = \"\""),
        "plan.toml, line 6: key \"data.target\" must have 1 to 256 characters",
    ),
    (
        ("[\"B\", \"M\"]", "[\"B\", \"M\", \"X\"]"),
        "plan.toml, line 7: key \"data.classes\" must name 2 classes when the task is binary, \
             found 3",
    ),
    (
        ("[\"B\", \"M\"]", "[\"B\", \"B\"]"),
        "plan.toml, line 7: key \"data.classes\" names \"B\" twice",
    ),
    (
        ("features = \"*\"", "features = \"all\""),
        "plan.toml, line 8: key \"data.features\" must be \"*\" or a list of column names",
    ),
    (
        ("features = \"*\"", "features = [\"radius\", \"diagnosis\"]"),
        "plan.toml, line 8: key \"data.features\" must not name the target \"diagnosis\"",
    ),
    (
        ("features = \"*\"", "features = [\"radius\", \"area\"]"),
        "plan.toml, line 11: key \"data.scale\" must cover every feature, lacks \"area\"",
    ),
    (
        ("\"declared\"", "\"federated\""),
        "plan.toml, line 11: key \"data.scale\" is only used with standardize = \"declared\"",
    ),
    (
        ("\"declared\"", "\"local\""),
        "plan.toml, line 11: key \"data.scale\" is only used with standardize = \"declared\"",
    ),
    (("scale = \"scale.toml\"\n", ""), "plan.toml, line 4: key \"data.scale\" is missing"),
    (
        ("\"scale.toml\"", "\"../scale.toml\""),
        "plan.toml, line 11: key \"data.scale\" must name a file beside the plan, without \
             folders, other than plan.toml",
    ),
    (
        ("\"scale.toml\"", "\"other.toml\""),
        "plan.toml, line 11: key \"data.scale\" names \"other.toml\", which the bundle does not \
             hold",
    ),
    (
        ("\"ROC_AUC\"", "\"ROC_UAC\""),
        "plan.toml, line 13: key \"metrics.names\" names no known metric: \"ROC_UAC\" | did you \
             mean \"ROC_AUC\"?",
    ),
    (
        ("\"ROC_AUC\"", "\"R2_SCORE\""),
        "plan.toml, line 13: key \"metrics.names\" holds R2_SCORE, which does not judge a binary \
             task",
    ),
    (
        ("default = \"ACCURACY\"", "default = \"RECALL\""),
        "plan.toml, line 14: key \"metrics.default\" must be one of metrics.names",
    ),
    (
        ("[{ dense = { units = 1 } }]", "[]"),
        "plan.toml, line 17: key \"model.layers\" must hold 1 to 1000 layers, found 0",
    ),
    (
        ("[{ dense = { units = 1 } }]", "[\n  { dense = 1 },\n]"),
        "plan.toml, line 18: key \"model.layers[0].dense\" must be a table, found an integer",
    ),
    (
        ("[{ dense = { units = 1 } }]", "[{ dense = {}, relu = {} }]"),
        "plan.toml, line 17: key \"model.layers[0]\" must be a table with one key, the kind of \
             the layer",
    ),
    (
        ("\"binary_cross_entropy\"", "\"huber\""),
        "plan.toml, line 19: key \"loss.kind\" must be one of binary_cross_entropy when the task \
             is binary, found \"huber\"",
    ),
    (
        ("\"binary_cross_entropy\"", "\"binary_crossentropy\""),
        "plan.toml, line 19: key \"loss.kind\" names no known loss: \"binary_crossentropy\" | did \
             you mean \"binary_cross_entropy\"?",
    ),
    (
        ("entropy\"", "entropy\"\nclass_weights = [1]"),
        "plan.toml, line 20: key \"loss.class_weights\" must have 2 numbers, one a class, found 1",
    ),
    (
        ("entropy\"", "entropy\"\nclass_weights = [1, 0.0]"),
        "plan.toml, line 20: key \"loss.class_weights\" must all be greater than 0",
    ),
    (
        ("kind = \"sgd\"", "kind = \"sgd\"\n[schedule]\nkind = \"step\"\nevery = 0\nfactor = 0.5"),
        "plan.toml, line 24: key \"schedule.every\" must be from 1 to 1000000000, found 0",
    ),
    (
        ("kind = \"sgd\"", "kind = \"sgd\"\n[schedule]\nkind = \"constant\"\nevery = 2"),
        "plan.toml, line 24: key \"schedule.every\" belongs to another kind of schedule",
    ),
    (
        ("runtime = \"native\"", "runtime = \"python\""),
        "plan.toml, line 3: key \"plan.runtime\" must be \"native\" in a plan that is a TOML file \
             | a Python plan is a Python file",
    ),
    (
        ("kind = \"sgd\"", "kind = \"sgd\"\nnesterov = 2026-11-22"),
        "plan.toml, line 22: key \"optimizer.nesterov\" must be a string, number, boolean, list \
             or table, found a date or time",
    ),
    (
        ("kind = \"sgd\"", "kind = \"sgd\"\nmomentum = nan"),
        "plan.toml, line 22: key \"optimizer.momentum\" must be a finite number",
    ),
];
