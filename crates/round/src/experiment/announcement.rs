//! What whoever watches an experiment is told. The names of these events and of their fields are a contract.

use std::fmt;

use protocol::{ArtifactReference, Code, Mode, Timestamp};
use serde::{Deserialize, Serialize};

use super::Site;

/// One step of an experiment's course, for people and programs that watch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Announcement {
    /// Too few matching nodes are connected.
    WaitingForNodes {
        /// The matching nodes that are connected.
        connected: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The sites of the experiment were chosen.
    Selected {
        /// The sites.
        sites: Vec<Site>,
    },
    /// Some sites have not approved the plan.
    WaitingForApproval {
        /// Sites whose owner has to decide.
        pending: Vec<Site>,
        /// Sites that have not answered.
        unanswered: Vec<Site>,
        /// Sites that approved.
        approved: Vec<Site>,
    },
    /// An attempt of a round began.
    RoundStarted {
        /// The round, from 1.
        round: u32,
        /// The attempt, from 1.
        attempt: u32,
        /// Whether the round trains or only validates.
        mode: Mode,
        /// The sites that were asked in this attempt.
        sites: Vec<Site>,
        /// When the attempt ends.
        deadline: Timestamp,
    },
    /// A site's reply came.
    Reply {
        /// The site.
        site: Site,
        /// The round, from 1.
        round: u32,
        /// `ok` or the code of the failure.
        code: Code,
        /// The number of training rows behind the update.
        sample_count: u64,
        /// What of the request or the update a failure is about, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// An attempt ended with too few successes and another follows.
    Retrying {
        /// The round, from 1.
        round: u32,
        /// The retry, from 1.
        retry: u32,
        /// When it starts.
        at: Timestamp,
        /// Why sites failed.
        failures: Vec<SiteFailure>,
    },
    /// The updates of a round are being aggregated.
    Aggregating {
        /// The round, from 1.
        round: u32,
        /// Whose updates.
        sites: Vec<Site>,
    },
    /// A site's update cannot be aggregated and counts as a failure.
    UpdateUnusable {
        /// The site.
        site: Site,
        /// The round, from 1.
        round: u32,
        /// Why.
        code: Code,
    },
    /// The experiment waits for somebody.
    Paused {
        /// What for, as a code.
        code: Code,
        /// What for, in words.
        message: String,
    },
    /// The experiment goes on after a pause.
    Resumed,
    /// The experiment was cancelled.
    Cancelled,
    /// The experiment cannot end well.
    Failed {
        /// Why, as a code.
        code: Code,
        /// Why, in words.
        message: String,
    },
    /// The experiment is done.
    Completed {
        /// The last model.
        model: ArtifactReference,
        /// The rounds of training that made it.
        rounds: u32,
    },
}

/// Why one site has no success in an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteFailure {
    /// The site.
    pub site: Site,
    /// Its code; `deadline.exceeded` where no reply came.
    pub code: Code,
    /// What of the request or the update the failure is about, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl fmt::Display for SiteFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.site, self.code)?;
        self.detail.iter().try_for_each(|detail| write!(formatter, " ({detail})"))
    }
}
