//! Histograms: declared edges, counts between them, and the quantiles that are read off.

use serde::Serialize;

use super::reading::MOST_BINS;

/// The edges of a histogram: finite and ascending, two at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Edges(Vec<f64>);

impl Edges {
    /// So many bins of one width; nothing where that makes no edges.
    #[must_use]
    pub fn even(from: f64, to: f64, bins: usize) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "there are at most a thousand bins")]
        let edge = |place: usize| {
            // The last edge is the one that was said, whatever the rounding before it.
            if place == bins { to } else { from + (to - from) * (place as f64 / bins as f64) }
        };
        let most = usize::try_from(MOST_BINS).unwrap_or(usize::MAX);
        if bins == 0 || bins > most {
            return None;
        }
        Self::listed((0..=bins).map(edge).collect())
    }

    /// These edges; nothing where they are too few, too many, not finite or do not ascend.
    #[must_use]
    pub fn listed(edges: Vec<f64>) -> Option<Self> {
        let most = usize::try_from(MOST_BINS).unwrap_or(usize::MAX);
        let ascend = edges.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = edges.iter().all(|edge| edge.is_finite());
        let fits = (2..=most + 1).contains(&edges.len());
        (ascend && finite && fits).then_some(Self(edges))
    }

    /// The edges.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// The bins that values are counted in: those between edges, and the two beyond them.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.0.len() + 1
    }

    /// The bin of a value: 0 below the first edge; an edge belongs to the bin above it, the last edge to the last bin
    /// between edges.
    #[must_use]
    pub fn place(&self, value: f64) -> usize {
        let last = self.0.len() - 1;
        // 0 and -0 are one value, which `total_cmp` tells apart.
        if value.partial_cmp(&self.0[last]) == Some(std::cmp::Ordering::Equal) {
            return last;
        }
        self.0.partition_point(|edge| *edge <= value)
    }
}

/// How many values lie in each range; ranges that were too rarely met are one with their neighbours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// How many sites' values are counted.
    pub sites: u64,
    /// The ranges, ascending; together they hold every value.
    pub bins: Vec<Bin>,
}

/// A range of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// Where it begins; none where it has no end below.
    pub from: Option<f64>,
    /// Where it ends; none where it has no end above.
    pub to: Option<f64>,
    /// How many values it holds.
    pub count: u64,
}

/// A quantile that was read off a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantile {
    /// The part of the values that lie below, above 0 and below 1.
    pub quantile: f64,
    /// The value, interpolated in its range; none where the range has no end.
    pub value: Option<f64>,
    /// The width of that range: the value is no more exact than this.
    pub resolution: Option<f64>,
}

impl Histogram {
    /// Joins the bins between edges that not every site tells.
    pub(super) fn pooled(edges: &Edges, sites: u64, counts: &[f64], told: &[f64]) -> Self {
        let limits = edges.as_slice();
        let mut bins = Vec::new();
        let (mut from, mut count) = (None, 0_u64);
        for (place, counted) in counts.iter().enumerate() {
            // What stands in a file may be anything.
            count = count.saturating_add(super::table::whole(*counted));
            let edge = limits.get(place).copied();
            let is_told = told.get(place).is_some_and(|told| super::table::whole(*told) == sites);
            if edge.is_none() || is_told {
                bins.push(Bin { from, to: edge, count });
                (from, count) = (edge, 0);
            }
        }
        Self { sites, bins }
    }

    /// Reads a quantile off, with values spread evenly within each range.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no federation has 2^53 rows")]
    pub fn quantile(&self, quantile: f64) -> Quantile {
        let total = self.bins.iter().fold(0_u64, |sum, bin| sum.saturating_add(bin.count));
        let wanted = quantile * total as f64;
        let mut before = 0_u64;
        let mut found = Quantile { quantile, value: None, resolution: None };
        for bin in &self.bins {
            let upto = before.saturating_add(bin.count);
            if bin.count > 0 && wanted <= upto as f64 {
                if let (Some(from), Some(to)) = (bin.from, bin.to) {
                    let part = (wanted - before as f64) / bin.count as f64;
                    found.value = Some(from + part * (to - from));
                    found.resolution = Some(to - from);
                }
                break;
            }
            before = upto;
        }
        found
    }
}
