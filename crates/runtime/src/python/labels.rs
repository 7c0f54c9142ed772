//! The classes of a plan's samples, by which a split keeps their shares.
//!
//! The plan tells them, because only the plan knows what it predicts; the node draws who validates. A plan that tells
//! other classes than it has spoils its own split and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::dialogue::Dialogue;
use super::frame::Patience;
use super::message::{DataOpened, Said};
use crate::Failure;

/// One class for each sample, numbered from 0 in ascending order; none where the plan told none.
#[derive(Default)]
pub(super) struct Labels(Vec<u32>);

impl Labels {
    /// Hears what a worker says that opens its data: of no more rows than there are.
    pub(super) fn listen(
        dialogue: &mut Dialogue,
        most: usize,
        patience: &mut Patience<'_>,
    ) -> Result<(DataOpened, Self), Failure> {
        let mut values: Vec<i64> = Vec::new();
        loop {
            let (said, payload) = dialogue.next(patience)?;
            match said {
                Said::Labels(labels) => {
                    let fits = labels.rows <= most - values.len();
                    if !fits || payload.len() != labels.rows * 8 {
                        return Err(dialogue.broken("labels of other rows than were asked for"));
                    }
                    let numbers = payload.as_chunks::<8>().0.iter();
                    values.extend(numbers.map(|bytes| i64::from_le_bytes(*bytes)));
                }
                Said::Done(done) => {
                    let opened: DataOpened = dialogue.done(done)?;
                    return Ok((opened, Self::numbered(&values)));
                }
                Said::Part(_) | Said::Scalar(_) | Said::Order(_) | Said::Failed(_) => {
                    return Err(dialogue.broken("a message that is out of place with the data"));
                }
            }
        }
    }

    /// The classes of so many samples, if that many were told.
    pub(super) fn of(&self, samples: usize) -> Option<&[u32]> {
        Some(self.0.as_slice()).filter(|labels| labels.len() == samples)
    }

    fn numbered(values: &[i64]) -> Self {
        let distinct: BTreeSet<i64> = values.iter().copied().collect();
        let numbers: BTreeMap<i64, u32> = distinct.into_iter().zip(0..).collect();
        Self(values.iter().filter_map(|value| numbers.get(value).copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_in_ascending_order() {
        let labels = Labels::numbered(&[7, -1, 7, 100]);
        assert_eq!(labels.of(4), Some(&[1, 0, 1, 2][..]));
        assert_eq!(labels.of(5), None);
    }
}
