//! What a running node tells the program around it.

use protocol::{Code, Phase, RoundId};
use serde::{Deserialize, Serialize};

/// Something that an operator, or a test, may wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Notice {
    /// The coordinator has welcomed the node.
    Connected,
    /// The line to the coordinator is down; the node dials again.
    Disconnected,
    /// The coordinator will not serve this node.
    Refused {
        /// Why.
        code: Code,
    },
    /// A round was accepted.
    RoundAccepted {
        /// Which.
        round_id: RoundId,
    },
    /// An attempt of a round has started.
    RoundStarted {
        /// Which.
        round_id: RoundId,
        /// Counted from 1.
        attempt: u32,
    },
    /// A round has its reply.
    RoundEnded {
        /// Which.
        round_id: RoundId,
        /// How.
        code: Code,
    },
    /// The node stands still where a test wants to end it.
    Paused {
        /// Which round.
        round_id: RoundId,
        /// At the beginning of which phase.
        phase: Phase,
    },
}
