//! What statistics may tell, and how many queries are answered.

use runtime::StatisticsTerms;

/// The owner's rules on statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatisticsRules {
    /// Counts of fewer patients than this are withheld.
    pub(crate) minimum_count: u64,
    /// A query about other patients than an answered one must differ by so many.
    pub(crate) minimum_difference: u64,
    /// Whether smallest and largest values are told.
    pub(crate) extremes: bool,
    /// Queries of one researcher in 24 hours.
    pub(crate) per_day: u64,
    /// Queries of one researcher, ever.
    pub(crate) total: Option<u64>,
}

impl StatisticsRules {
    /// What the runtime keeps to.
    pub(crate) fn terms(&self) -> StatisticsTerms {
        StatisticsTerms { minimum_count: self.minimum_count, extremes: self.extremes }
    }
}

/// What counts where the policy says nothing.
impl Default for StatisticsRules {
    fn default() -> Self {
        let StatisticsTerms { minimum_count, extremes } = StatisticsTerms::default();
        Self { minimum_count, minimum_difference: 10, extremes, per_day: 20, total: None }
    }
}
