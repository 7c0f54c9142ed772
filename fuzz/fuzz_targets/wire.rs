//! The messages between node, coordinator and researcher: what passes the door comes out again.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use protocol::{
    ArtifactReference, DatasetSummary, MetricsReport, Scalar, TrainReply, TrainRequest, wire::v1,
};

fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses the message, so that one corpus serves all.
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 9 {
        0 => passes::<v1::TrainRequest, TrainRequest>(bytes),
        1 => passes::<v1::TrainReply, TrainReply>(bytes),
        2 => passes::<v1::Scalar, Scalar>(bytes),
        3 => passes::<v1::DatasetSummary, DatasetSummary>(bytes),
        4 => passes::<v1::MetricsReport, MetricsReport>(bytes),
        5 => passes::<v1::ArtifactReference, ArtifactReference>(bytes),
        6 => drop(v1::NodeMessage::decode(bytes)),
        7 => drop(v1::CoordinatorMessage::decode(bytes)),
        _ => drop(v1::SubmitExperimentRequest::decode(bytes)),
    }
});

/// Takes a message through the door, out and in again.
fn passes<M, T>(bytes: &[u8])
where
    M: Message + Default + From<T>,
    T: TryFrom<M> + Clone + Debug + PartialEq,
    T::Error: Debug,
{
    let Ok(message) = M::decode(bytes) else { return };
    let Ok(value) = T::try_from(message) else { return };
    let written = M::from(value.clone()).encode_to_vec();
    let again = M::decode(written.as_slice()).expect("our own bytes");
    assert_eq!(T::try_from(again).expect("it passed once"), value);
}
