//! The policy's limits on statistics: what a query may ask, how often, and what its answer may tell.

use node::administration::DatasetAddition;
use protocol::{Code, Detail, RoundId, RuntimeKind, TrainReply, TrainRequest};
use training_plan::Bundle;
use training_plan::statistics::{Query, Table};

use crate::policy::bound;
use crate::site::{Experiment, Scene, addition, example};

/// Meets one of the limits, each at a node of its own, and exceeds it by one.
pub(super) async fn exceed(key: &str) {
    let mut ward = Ward::set().await;
    match key {
        // The table has 95 malignant and 107 benign tumours.
        "minimum_count" => {
            ward.say("statistics_minimum_count = 95").await;
            assert_eq!(ward.told(GROUPS).await.groups[0].rows, Some(95));
            ward.say("statistics_minimum_count = 96").await;
            let withheld = ward.told(GROUPS).await;
            assert!(withheld.groups.iter().all(|group| group.rows.is_none()), "{withheld:?}");
        }
        // Everybody, and then everybody but the 95.
        "minimum_difference" => {
            assert_eq!(ward.ask(ALL).await.code, Code::Ok);
            ward.say("statistics_minimum_difference = 96").await;
            let expected = ("statistics_minimum_difference".to_owned(), 96.0, 95.0);
            assert_eq!(bound(&ward.ask(GROUPS).await, Code::PolicyDenied), expected);
            ward.say("statistics_minimum_difference = 95").await;
            assert_eq!(ward.ask(GROUPS).await.code, Code::Ok);
        }
        "extremes" => {
            ward.say("statistics_extremes = true").await;
            let told = ward.told(EXTREMES).await;
            assert!(told.groups[0].columns[0].minimum.is_some(), "{told:?}");
            ward.say("statistics_extremes = false").await;
            let reply = ward.ask(EXTREMES).await;
            assert_eq!(reply.code, Code::PolicyDenied);
            let Some(Detail::Argument { key, .. }) = reply.detail else { panic!("{reply:?}") };
            assert_eq!((key.as_str(), reply.update), ("measures", None));
        }
        "per_day" => ward.one_query("statistics_per_day").await,
        "total" => ward.one_query("statistics_total").await,
        other => panic!("the policy's key \"statistics_{other}\" is exceeded by no case"),
    }
    ward.scene.node.stop().await;
}

/// A node whose table is asked about.
struct Ward {
    scene: Scene,
}

impl Ward {
    async fn set() -> Self {
        Self { scene: Scene::set().await }
    }

    async fn say(&self, rule: &str) {
        self.scene.say(&format!("[defaults]\n{rule}")).await;
    }

    /// One query is answered, and the next one denied; a round of training is no query.
    async fn one_query(&mut self, key: &str) {
        self.say(&format!("{key} = 1")).await;
        assert_eq!(self.ask(ALL).await.code, Code::Ok);
        let reply = self.ask(ALL).await;
        assert_eq!(bound(&reply, Code::PolicyDenied), (key.to_owned(), 1.0, 2.0));
        assert_eq!(reply.update, None);
        assert_eq!(self.scene.train(&[]).await.code, Code::Ok);
    }

    /// The answer to a query of a round of its own, which the owner has approved.
    async fn ask(&mut self, query: &str) -> TrainReply {
        let query = Query::parse("statistics.toml", query).unwrap();
        let bundle = Bundle::statistics(&query).unwrap();
        let columns = vec!["radius_mean".to_owned()];
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        runtime::empty_statistics(&bundle, &columns, &empty).unwrap();
        let coordinator = &self.scene.coordinator;
        let parameters = coordinator.publish(&std::fs::read(empty).unwrap());
        let plan = coordinator.publish(bundle.bytes());
        let asked = Experiment { bundle, plan, parameters, columns };
        asked.approve(&self.scene.node).await;
        let request = TrainRequest {
            round_id: RoundId::from_uuid(uuid::Uuid::now_v7()),
            runtime: RuntimeKind::Statistics,
            training_args: serde_json::Map::new(),
            ..asked.request(self.scene.dataset_id)
        };
        self.scene.run(&request).await
    }

    /// What the answer to a query tells.
    async fn told(&mut self, query: &str) -> Table {
        let reply = self.ask(query).await;
        assert_eq!(reply.code, Code::Ok, "{reply:?}");
        let bytes = self.scene.coordinator.fetched(&reply.update.unwrap().digest);
        Table::parse(&bytes).unwrap()
    }
}

/// A node that was restarted, or whose table was registered anew, knows whom it has told about.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_counts_after_a_restart_and_for_a_table_that_was_corrected() {
    let mut ward = Ward::set().await;
    assert_eq!(ward.ask(ALL).await.code, Code::Ok);
    ward.say("statistics_per_day = 1").await;
    let Scene { node, coordinator, home, .. } = &mut ward.scene;
    node.kill().await;
    *node = home.start();
    coordinator.greeting().await;
    let expected = ("statistics_per_day".to_owned(), 1.0, 2.0);
    assert_eq!(bound(&ward.ask(ALL).await, Code::PolicyDenied), expected);

    let Scene { node, home, .. } = &ward.scene;
    let rows = std::fs::read_to_string(example("north.csv")).unwrap();
    let fewer: Vec<&str> = rows.lines().take(1 + 202 - 9).collect();
    let corrected = home.folder.root().join("corrected.csv");
    std::fs::write(&corrected, fewer.join("\n") + "\n").unwrap();
    let owner = node.handle.administration();
    owner.dataset_remove("breast-cancer").await.unwrap();
    let again: DatasetAddition = addition("breast-cancer", &corrected);
    let again = owner.dataset_add(again).await.unwrap();
    ward.scene.dataset_id = again.dataset_id;
    ward.say("statistics_per_day = 9").await;
    let expected = ("statistics_minimum_difference".to_owned(), 10.0, 9.0);
    assert_eq!(bound(&ward.ask(ALL).await, Code::PolicyDenied), expected);
    ward.scene.node.stop().await;
}

const ALL: &str = "columns = [\"radius_mean\"]\n";
const GROUPS: &str =
    "columns = [\"radius_mean\"]\ngroup_by = { column = \"diagnosis\", values = [\"M\", \"B\"] }\n";
const EXTREMES: &str = "columns = [\"radius_mean\"]\nmeasures = [\"minimum\", \"maximum\"]\n";
