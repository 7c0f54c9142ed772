//! What Wardround's processes say to each other: messages, identifiers, digests and codes.
//!
//! This crate must never know any behaviour: it parses, prints and names, and nothing else.
//! Everything that comes from a peer enters through a `TryFrom` in [`wire`] and is hostile until then.
//!
//! Start reading at [`TrainRequest`] and [`TrainReply`], the two messages of a round, then [`Code`],
//! the closed list of everything a round can end with.

pub mod approval_status;
pub mod artifact;
pub mod code;
pub mod dataset_summary;
pub mod detail;
pub mod digest;
pub mod history;
pub mod id;
pub mod metric_sums;
pub mod metrics_report;
pub mod phase;
pub mod scalar;
pub mod timestamp;
pub mod train_reply;
pub mod train_request;
pub mod warning;
pub mod wire;

pub use approval_status::ApprovalStatus;
pub use artifact::ArtifactReference;
pub use code::Code;
pub use dataset_summary::{ColumnSummary, ColumnType, DatasetSummary, PartSummary};
pub use detail::Detail;
pub use digest::{Digest, Digester};
pub use history::{FederationMetric, History, HistoryRound, HistorySite, MadeBy};
pub use id::{CorrelationId, DatasetId, DatasetName, ExperimentId, NodeId, ResearcherId, RoundId};
pub use metric_sums::MetricSums;
pub use metrics_report::MetricsReport;
pub use phase::Phase;
pub use scalar::Scalar;
pub use timestamp::Timestamp;
pub use train_reply::{Timing, TrainReply};
pub use train_request::{Mode, RuntimeKind, TrainRequest};
pub use warning::Warning;

/// The version of the messages in `proto/`; two processes with different versions refuse each other in words.
pub const WIRE_VERSION: u32 = 1;
