//! What comes from a peer is parsed or refused, and never panics.

use proptest::prelude::*;
use prost::Message;
use protocol::wire::v1;
use protocol::{Scalar, TrainReply, TrainRequest};

fn request() -> v1::TrainRequest {
    let digest = protocol::Digest::of(b"plan").to_string();
    let artifact = v1::ArtifactReference { digest, size: 4, url: String::new() };
    v1::TrainRequest {
        round_id: "0197f3a0-0000-7000-8000-000000000001".into(),
        experiment_id: "0197f3a0-0000-7000-8000-000000000002".into(),
        round: 1,
        researcher_id: "ada".into(),
        dataset_id: "0197f3a0-0000-7000-8000-000000000003".into(),
        mode: v1::TrainMode::Train.into(),
        model_args_json: r#"{"hidden":[3,null,0.5]}"#.into(),
        training_args_json: String::new(),
        seed: u64::MAX,
        plan: Some(artifact.clone()),
        runtime: "native".into(),
        columns: vec!["age".into()],
        parameters: Some(artifact),
        time_left_milliseconds: 60_000,
        ..Default::default()
    }
}

#[test]
fn a_request_survives_the_wire_unchanged() {
    let parsed = TrainRequest::try_from(request()).expect("is a request");
    let back: v1::TrainRequest = parsed.clone().into();
    assert_eq!(back, request());
    let json = serde_json::to_string(&parsed).expect("is JSON");
    assert_eq!(serde_json::from_str::<TrainRequest>(&json).expect("is a request"), parsed);
}

#[test]
fn a_broken_field_is_named_with_its_rule_and_without_its_value() {
    type Break = fn(&mut v1::TrainRequest);
    let cases: [(Break, &str); 7] = [
        (|r| r.mode = 0, "field \"mode\": is train or validate"),
        (|r| r.mode = 99, "field \"mode\": is train or validate"),
        (|r| r.round = 0, "field \"round\": counts from 1"),
        (|r| r.plan = None, "field \"plan\": is required"),
        (|r| r.model_args_json = "[1]".into(), "field \"model_args\": is a JSON object"),
        (|r| r.runtime = "pickle".into(), "field \"runtime\": unknown runtime"),
        (
            |r| r.plan.as_mut().expect("is set").url = "http://elsewhere/".into(),
            "field \"artifact.url\": is a path on the coordinator's own port",
        ),
    ];
    for (break_it, message) in cases {
        let mut broken = request();
        break_it(&mut broken);
        let error = TrainRequest::try_from(broken).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(message) = v1::TrainRequest::decode(&bytes[..]) {
            let _ = TrainRequest::try_from(message);
        }
        if let Ok(message) = v1::TrainReply::decode(&bytes[..]) {
            let _ = TrainReply::try_from(message);
        }
        if let Ok(message) = v1::Scalar::decode(&bytes[..]) {
            let _ = Scalar::try_from(message);
        }
        let _ = v1::NodeMessage::decode(&bytes[..]);
        let _ = v1::CoordinatorMessage::decode(&bytes[..]);
    }

    #[test]
    fn arbitrary_texts_never_panic(text in any::<String>(), round in any::<u32>()) {
        let mut odd = request();
        odd.round = round;
        odd.round_id.clone_from(&text);
        odd.model_args_json.clone_from(&text);
        odd.plan = Some(v1::ArtifactReference { digest: text, size: 0, url: String::new() });
        prop_assert!(TrainRequest::try_from(odd).is_err());
    }
}
