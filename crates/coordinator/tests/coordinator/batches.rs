//! Scalars reach the disk in batches: many at once cost few commits, and one alone does not wait long.

use std::time::{Duration, Instant};

use protocol::wire::v1;
use protocol::wire::v1::coordinator_message::Message as FromCoordinator;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use protocol::{Scalar, TrainRequest};
use store::rusqlite::Connection;
use tokio::sync::mpsc;
use tonic::Streaming;
use transport::{Caller, dial};

use crate::federation::{Federation, fields};
use crate::support::{PATIENCE, Script, message, soon};

/// A node that has accepted a round and does nothing but tell scalars.
struct Teller {
    out: mpsc::Sender<v1::NodeMessage>,
    _incoming: Streaming<v1::CoordinatorMessage>,
    request: TrainRequest,
}

/// A federation in whose first round one node tells scalars when the test says so.
async fn telling() -> (Federation, Teller, String) {
    let mut world = Federation::start(vec![Script::new("east")]).await;
    let caller = Caller::Node("north".parse().unwrap());
    let line = dial(&world.server.address(), &caller, Default::default()).await.unwrap();
    let (out, outgoing) = mpsc::channel(64);
    out.send(message(FromNode::Greeting(greeting()))).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut incoming = NodeServiceClient::new(line).attend(stream).await.unwrap().into_inner();
    crate::support::connected(&mut world.researcher, 2).await;
    let id = world.submit(1).await;
    let asked = async {
        loop {
            match incoming.message().await.unwrap().unwrap().message {
                Some(FromCoordinator::AskApproval(question)) => {
                    let answer = v1::PlanAnswer {
                        experiment_id: question.experiment_id,
                        dataset_id: question.dataset_id,
                        plan_digest: question.plan.unwrap().digest,
                        code: "ok".to_owned(),
                        status: String::new(),
                        note: String::new(),
                    };
                    out.send(message(FromNode::PlanAnswer(answer))).await.unwrap();
                }
                Some(FromCoordinator::TrainRequest(request)) => return request,
                _ => {}
            }
        }
    };
    let request: TrainRequest = soon("the request", asked).await.try_into().unwrap();
    (world, Teller { out, _incoming: incoming, request }, id)
}

fn greeting() -> v1::Greeting {
    v1::Greeting {
        wire_version: protocol::WIRE_VERSION,
        node_id: "north".to_owned(),
        software: "teller".to_owned(),
        datasets: vec![crate::support::dataset("north")],
        open_rounds: Vec::new(),
        paused: false,
    }
}

impl Teller {
    async fn tell(&self, sequences: std::ops::Range<u64>) {
        let scalars = sequences.map(|sequence| self.scalar(sequence).into()).collect();
        self.out.send(message(FromNode::Scalars(v1::Scalars { scalars }))).await.unwrap();
    }

    fn scalar(&self, sequence: u64) -> Scalar {
        Scalar { sequence, ..crate::support::scalar(&self.request) }
    }
}

/// Counts the scalars that are written, and the batches in which they were, behind the coordinator's back.
fn count_commits(world: &Federation) -> impl Fn() -> (i64, i64) + use<> {
    let path = world.folder.path().join("coordinator.sqlite");
    move || {
        let database = Connection::open(&path).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        let query = "SELECT count(*), count(DISTINCT at) FROM events
                     WHERE name = 'scalar' AND fields LIKE '%north%'";
        database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_scalars_cost_few_commits_and_none_is_lost_or_told_twice() {
    let (mut world, teller, id) = telling().await;
    let counts = count_commits(&world);
    // A thousand messages: a commit for each would be a thousand.
    let begun = Instant::now();
    for first in (1..=2_000).step_by(2) {
        teller.tell(first..first + 2).await;
    }
    let written = async {
        while counts().0 < 2_000 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon("the last scalar", written).await;
    let (scalars, instants) = counts();
    assert_eq!(scalars, 2_000);
    // The rows of a batch share its instant. A batch ends with 500 scalars or after a tenth of a second.
    let took = i64::try_from(begun.elapsed().as_millis()).unwrap();
    assert!(instants <= 2 * (2_000 / 500 + took / 100 + 1), "{instants} commits in {took} ms");

    // Said again, they are known.
    teller.tell(1..500).await;
    teller.tell(2_001..2_002).await;
    let written = async {
        while counts().0 < 2_001 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon("the new one among the known", written).await;
    assert_eq!(counts().0, 2_001);
    let cancel = v1::CancelExperimentRequest { experiment_id: id };
    world.researcher.calls.cancel_experiment(cancel).await.unwrap();
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_scalar_alone_is_seen_soon() {
    let (mut world, teller, id) = telling().await;
    let begun = Instant::now();
    let alone = Scalar { iteration: 77, ..teller.scalar(7) };
    let scalars = v1::Scalars { scalars: vec![alone.into()] };
    teller.out.send(message(FromNode::Scalars(scalars))).await.unwrap();
    let request = v1::WatchExperimentRequest { experiment_id: id.clone(), after: 0 };
    let mut events = world.researcher.calls.watch_experiment(request).await.unwrap().into_inner();
    let told = async {
        loop {
            let event = events.message().await.unwrap().unwrap();
            if event.name == "scalar" && fields(&event)["iteration"] == 77 {
                return;
            }
        }
    };
    soon("the scalar", told).await;
    // A tenth of a second, on a machine that does other things.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let cancel = v1::CancelExperimentRequest { experiment_id: id };
    world.researcher.calls.cancel_experiment(cancel).await.unwrap();
    world.server.stop().await;
}
