//! What a hospital grants holds across kills, ends what runs, and needs whom the policy names, with real processes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use federation::{Experiment, ExperimentFile, Federation, Hospital, PATIENCE};
use serde_json::Value;

/// The first grant of a plan at a hospital, as it is listed.
fn grant(hospital: &Hospital, plan: &str) -> Value {
    let shown = hospital.document(&["node", "plan", "show", plan]);
    shown["grants"][0].clone()
}

/// The replies of a hospital's rounds, the newest first.
fn replies(hospital: &Hospital, experiment: &Experiment) -> Vec<Value> {
    let rounds = hospital.rounds(&experiment.id);
    let ids = rounds.iter().map(|round| round["round_id"].as_str().expect("is a text").to_owned());
    ids.map(|id| hospital.document(&["node", "round", "show", &id])["reply"].clone()).collect()
}

fn await_true(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn rounds_are_counted_once_across_a_kill_and_the_one_too_many_is_denied() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { min_nodes: 2, rounds: 1, ..ExperimentFile::default() };
    let experiment = federation.submit(&file);
    // One round of training and the last validation.
    let south = federation.hospital("south");
    await_true("a question", || south.document(&["node", "plan", "list"])[0].is_object());
    south.kill();
    south.start_pausing_at("train");
    south.document(&["node", "plan", "approve", &experiment.plan, "--rounds", "2"]);
    for name in ["east", "north"] {
        federation.hospital(name).approve(&experiment.plan);
    }
    let south = federation.hospital("south");
    south.daemon().await_event("a pause", |event| event["event"] == "paused");
    assert_eq!(grant(south, &experiment.plan)["used"], 1, "it counts before the plan is opened");
    south.kill();
    south.start();
    experiment.await_model();
    let south = federation.hospital("south");
    south.await_idle();
    let granted = grant(south, &experiment.plan);
    assert_eq!((&granted["used"], &granted["status"]), (&Value::from(2), &Value::from("used_up")));
    let codes: Vec<Value> =
        replies(south, &experiment).iter().map(|reply| reply["code"].clone()).collect();
    assert_eq!(codes, ["ok", "ok"]);
    let again = ExperimentFile { experiment: "start = \"quorum\"", seed: Some(43), ..file };
    let again = federation.submit(&again);
    again.await_model();
    let south = federation.hospital("south");
    // A grant that is used up is no yes, so nothing was asked of this node.
    assert_eq!(south.rounds(&again.id), Vec::<Value>::new());
    assert_eq!(grant(south, &experiment.plan)["used"], 2);
}

#[test]
fn a_revocation_ends_a_running_round_and_the_experiment_waits_for_the_owner() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile {
        min_nodes: 3,
        rounds: 1,
        training: "epochs = 2000000\n[training_args.loader_args]\nbatch_size = 8\n",
        ..ExperimentFile::default()
    };
    let experiment = federation.submit_approved(&file);
    let south = federation.hospital("south");
    await_true("a round", || {
        south.rounds(&experiment.id).iter().any(|round| round["stage"] == "running")
    });
    south.document(&["node", "plan", "revoke", &experiment.plan, "--note", "the study has ended"]);
    await_true("its end", || {
        south.rounds(&experiment.id).iter().any(|round| round["code"] == "plan.revoked")
    });
    let reply = replies(south, &experiment).remove(0);
    assert_eq!((&reply["code"], &reply["update"]), (&Value::from("plan.revoked"), &Value::Null));
    let released = south.document(&["node", "audit", "list", "--action", "round.release"]);
    assert_eq!(released.as_array().map(Vec::len), Some(0), "nothing left");
    let told = experiment.await_named("note");
    assert_eq!(told["note"], "the study has ended");
    federation.coordinator.document(&["experiment", "cancel", &experiment.id]);
}

#[test]
fn a_bound_that_is_exceeded_is_named_to_the_researcher_and_to_the_owner() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile {
        min_nodes: 3,
        rounds: 1,
        training: "epochs = 2\n[training_args.loader_args]\nbatch_size = 8\n",
        ..ExperimentFile::default()
    };
    let experiment = federation.submit(&file);
    let south = federation.hospital("south");
    await_true("a question", || south.document(&["node", "plan", "list"])[0].is_object());
    south.document(&["node", "plan", "approve", &experiment.plan, "--max", "epochs=1"]);
    for name in ["east", "north"] {
        federation.hospital(name).approve(&experiment.plan);
    }
    let words = "the bound \"epochs\" is 1, and 2 was found";
    let paused = experiment.await_named("paused");
    assert!(paused["message"].as_str().is_some_and(|message| message.contains(words)), "{paused}");
    let shown = federation.coordinator.document(&["experiment", "show", &experiment.id]);
    let notes: Vec<&Value> = shown["executions"]
        .as_array()
        .expect("executions")
        .iter()
        .filter(|execution| execution["code"] == "policy.denied")
        .map(|execution| &execution["note"])
        .collect();
    assert_eq!(notes, [words]);
    let reply = replies(federation.hospital("south"), &experiment).remove(0);
    assert_eq!(reply["detail"]["bound"], "epochs");
    federation.coordinator.document(&["experiment", "cancel", &experiment.id]);
}

#[test]
fn an_owner_is_asked_before_there_is_an_experiment_and_the_answer_comes_back() {
    let mut federation = Federation::of_three();
    let folder = tempfile::tempdir().expect("a folder");
    ExperimentFile::default().write(folder.path());
    let plan = folder.path().join("logistic.toml").to_string_lossy().into_owned();
    federation.hospital("south").kill();
    let asked = federation.coordinator.document(&[
        "plan",
        "request-approval",
        &plan,
        "--node",
        "north",
        "--node",
        "south",
        "--message",
        "for ethics vote 17",
    ]);
    assert_eq!(asked.as_array().map(Vec::len), Some(2), "{asked}");
    let state = |federation: &Federation, node: &str| {
        let found = federation.coordinator.document(&["plan", "status", &plan]);
        let found = found.as_array().expect("is a list").clone();
        found.into_iter().find(|one| one["node"] == node).expect("was asked")
    };
    await_true("an answer", || !state(&federation, "north")["code"].is_null());
    assert!(state(&federation, "south")["code"].is_null());
    // The request outlives the coordinator, and reaches a node that was away.
    federation.coordinator.kill();
    federation.coordinator.start();
    federation.hospital("south").start();
    for node in ["north", "south"] {
        let digest = state(&federation, node)["plan"].as_str().expect("is a text").to_owned();
        let hospital = federation.hospital(node);
        await_true("a message", || {
            let plans = hospital.document(&["node", "plan", "list"]);
            plans[0]["messages"][0]["text"] == "for ethics vote 17"
        });
        hospital.document(&["node", "plan", "approve", &digest, "--note", "until May"]);
        await_true("the owner's word", || {
            let told = state(&federation, node);
            told["code"] == "ok" && told["note"] == "until May"
        });
    }
    let digest = state(&federation, "north")["plan"].as_str().expect("is a text").to_owned();
    federation.hospital("north").document(&["node", "plan", "reject", &digest, "--note", "not us"]);
    await_true("the second thought", || {
        let told = state(&federation, "north");
        told["code"] == "plan.rejected" && told["note"] == "not us"
    });
}

#[test]
fn what_ends_by_itself_is_told_to_whoever_has_asked_as_the_owner_sees_it() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { min_nodes: 3, rounds: 1, ..ExperimentFile::default() };
    let experiment = federation.submit(&file);
    let folder = tempfile::tempdir().expect("a folder");
    file.write(folder.path());
    let plan = folder.path().join("logistic.toml").to_string_lossy().into_owned();
    federation.coordinator.document(&["plan", "request-approval", &plan]);
    let south = federation.hospital("south");
    await_true("a question", || south.document(&["node", "plan", "list"])[0].is_object());
    south.document(&["node", "plan", "approve", &experiment.plan, "--expires", "2s"]);
    let told = |federation: &Federation, status: &str| {
        let asked = federation.coordinator.document(&["plan", "status", &plan]);
        let asked = asked.as_array().expect("is a list").clone();
        asked.into_iter().any(|one| one["node"] == "south" && one["status"] == status)
    };
    let owner = |federation: &mut Federation| {
        federation.hospital("south").document(&["node", "plan", "show", &experiment.plan])
    };
    await_true("the owner's yes", || told(&federation, "approved"));
    // Nobody does anything: the time passes.
    await_true("the end of it", || told(&federation, "expired"));
    assert_eq!(owner(&mut federation)["status"], "expired");
    await_true("the waiting room", || {
        let shown = federation.coordinator.document(&["experiment", "show", &experiment.id]);
        let executions = shown["executions"].as_array().expect("is a list").clone();
        let south = executions.into_iter().find(|one| one["node"] == "south");
        south.is_some_and(|one| {
            one["stage"] == "waiting for approval" && one["approval"] == "expired"
        })
    });
    let note = experiment.await_event("a note", |event| {
        event["event"] == "note" && event["site"]["node"] == "south"
    });
    assert_eq!(note["approval"], "expired", "{note}");
    // With room for one round and its last validation the experiment runs, and the grant is used up.
    let south = federation.hospital("south");
    south.document(&["node", "plan", "approve", &experiment.plan, "--rounds", "2"]);
    for name in ["east", "north"] {
        federation.hospital(name).approve(&experiment.plan);
    }
    experiment.await_model();
    await_true("the last round's use", || told(&federation, "used_up"));
    assert_eq!(owner(&mut federation)["status"], "used_up");
}

#[test]
fn a_second_user_of_the_operating_system_signs_and_the_first_may_not() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { rounds: 1, ..ExperimentFile::default() };
    let experiment = federation.submit(&file);
    let south = federation.hospital("south");
    await_true("a question", || south.document(&["node", "plan", "list"])[0].is_object());
    south.terminate(Duration::from_secs(30));
    std::fs::write(south.home().join("policy.toml"), "[defaults]\nsecond_person = true\n")
        .expect("the folder can be written");
    let configuration = south.home().join("node.toml");
    let text = std::fs::read_to_string(&configuration).expect("is there");
    std::fs::write(&configuration, format!("administrators = \"{NOBODY}\"\n{text}"))
        .expect("the folder can be written");
    // Only who may give files away can have another user's process in its group.
    if !rustix::process::getuid().is_root() {
        return;
    }
    south.start();
    south.document(&["node", "plan", "approve", &experiment.plan]);
    assert_eq!(grant(south, &experiment.plan)["status"], "pending");
    let refused = south.run(&["node", "plan", "countersign", &experiment.plan]);
    assert_ne!(refused.status, 0);
    assert!(refused.error.contains("needs the signature of somebody else"), "{}", refused.error);
    let signed = as_nobody(south, &["node", "plan", "countersign", &experiment.plan]);
    assert_eq!(signed["status"], "approved", "{signed}");
    let second = &grant(south, &experiment.plan)["grant"]["second"]["given"]["by"]["user"];
    assert_eq!(*second, u64::from(NOBODY));
    let records = south.document(&["node", "audit", "list", "--action", "plan.countersign"]);
    let actor = records[0]["actor"].as_str().expect("is a text");
    assert!(actor.starts_with(&format!("owner:{NOBODY}")), "{actor}");
    for name in ["east", "north"] {
        federation.hospital(name).approve(&experiment.plan);
    }
    experiment.await_model();
}

/// Runs an owner's command as another user, who can reach the program and the folder's path.
fn as_nobody(hospital: &Hospital, arguments: &[&str]) -> Value {
    let folder = tempfile::Builder::new().prefix("program").tempdir_in("/tmp").expect("a folder");
    let program = folder.path().join("wardround");
    std::fs::copy(program_file(), &program).expect("the program can be copied");
    open(folder.path(), 0o755);
    open(&program, 0o755);
    for above in hospital.home().ancestors().skip(1).take_while(|path| *path != Path::new("/tmp")) {
        if above != Path::new("/") {
            open(above, 0o711);
        }
    }
    let user = NOBODY.to_string();
    let done = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
        .arg(&program)
        .args(arguments)
        .arg("--dir")
        .arg(hospital.home())
        .arg("--json")
        .env_clear()
        .output()
        .expect("setpriv is there");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    serde_json::from_slice(&done.stdout).expect("is JSON")
}

fn program_file() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a file");
    test.parent().and_then(Path::parent).expect("tests lie in the target folder").join("wardround")
}

fn open(path: &Path, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).expect("it is ours");
}

/// Another user than the one who runs the tests, and a group of that number.
const NOBODY: u32 = 65_534;
