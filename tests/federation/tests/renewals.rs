//! Certificates that are good for seconds, with real processes: everybody renews their own in time, while rounds go on.

use std::time::{Duration, Instant};

use federation::{ExperimentFile, Federation, Hospital};

/// Seconds that a certificate is good.
const LIFE: u64 = 12;

fn renewals(hospital: &Hospital) -> usize {
    let log = std::fs::read_to_string(hospital.log()).expect("it has a log");
    log.matches("the certificate is renewed").count()
}

#[test]
fn certificates_renew_themselves_in_running_processes_before_they_expire() {
    let life = LIFE.to_string();
    let variables = [("WARDROUND_COORDINATOR_CERTIFICATE_SECONDS", life.as_str())];
    let mut federation = Federation::encrypted_with(&variables);
    for name in ["north", "south"] {
        federation.add_hospital(name);
    }
    let file = ExperimentFile { min_nodes: 2, rounds: 2, ..ExperimentFile::default() };
    let model = federation.submit_approved(&file).await_model();
    let begun = Instant::now();
    // Two lives and a half: the researcher's commands renew hers as the nodes renew theirs.
    while begun.elapsed() < Duration::from_millis(LIFE * 2_500) {
        federation.coordinator.document(&["researcher", "status"]);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(federation.submit(&file).await_model(), model);
    for hospital in &federation.hospitals {
        let renewals = renewals(hospital);
        assert!((2..=8).contains(&renewals), "{}: {renewals} renewals", hospital.name());
    }
    let log = std::fs::read_to_string(federation.coordinator.log()).expect("it has a log");
    assert!(!log.contains("a caller is refused"), "{log}");
}
