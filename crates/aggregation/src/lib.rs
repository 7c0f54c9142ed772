//! Aggregation strategies and pooled metrics.
