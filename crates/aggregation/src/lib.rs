//! Making one model, and one set of metrics, out of those of many sites.
//!
//! What it is for: the federated average of parameter files ([`FedAvg`]), in bounded memory and to
//! the same bytes whatever order the updates came in and however many threads work on them; sums,
//! extremes and moments of what sites tell of their data ([`Combine`]); and metrics over the
//! validation rows of all sites together ([`pool`]).
//!
//! What it must never know: the network, nodes as processes, training plans, where files come from.
//!
//! Where to start: [`FedAvg::aggregate`], then [`pool`].

mod combine;
mod confusion;
mod error;
mod fed_avg;
mod kernel;
mod pooled;
mod residuals;

pub use crate::{
    combine::Combine,
    error::Error,
    fed_avg::{FedAvg, Output, Update, Weights},
    pooled::{SiteMetrics, pool},
};
