//! What a node keeps count of before it answers a query for statistics.

use protocol::{Code, RuntimeKind, Timestamp};
use runtime::Cohort;

use super::{Fault, Work, judge};
use crate::policy::{Denial, Terms};
use crate::registry::{self, statistics};
use crate::round_log::chain;

/// Charges a query to its researcher, before anything of it is computed; other rounds cost nothing here.
///
/// A query that ends without an answer stays charged: what it has told by its end is not known.
pub(super) async fn charge(work: &Work, terms: &Terms) -> Result<(), Fault> {
    match work.request.runtime {
        RuntimeKind::Statistics => {}
        RuntimeKind::Native | RuntimeKind::Python => return Ok(()),
    }
    let rules = terms.statistics.clone();
    let request = &work.request;
    let (id, researcher) = (request.round_id, request.researcher_id.clone());
    let dataset = judge::dataset(work)?.name;
    let now = work.site.clock.now();
    let since = Timestamp::from_milliseconds(now.milliseconds().saturating_sub(DAY));
    let charged = work.site.database.write(move |transaction| {
        let whose = (id, &researcher, &dataset);
        let before = statistics::charged(transaction, whose, since)?;
        if before.lately >= rules.per_day {
            let denial = Denial::beyond("statistics_per_day", rules.per_day, before.lately + 1);
            return Ok(Err(denial));
        }
        if let Some(total) = rules.total.filter(|total| before.ever >= *total) {
            return Ok(Err(Denial::beyond("statistics_total", total, before.ever + 1)));
        }
        statistics::charge(transaction, whose, now)?;
        Ok(Ok(()))
    });
    settle(charged.await)
}

/// Notes whom a query is about, before anything of them is computed; refuses one that is about almost the same patients
/// as an answered one.
pub(super) fn guard(work: &Work, terms: &Terms, cohorts: Vec<Cohort>) -> Result<(), Fault> {
    let least = terms.statistics.minimum_difference;
    let dataset = judge::dataset(work)?.name;
    let judged = work.site.database.write_blocking(move |transaction| {
        let smallest = statistics::smallest_difference(transaction, &dataset, &cohorts)?;
        match smallest.filter(|smallest| *smallest < least) {
            Some(smallest) => {
                Ok(Err(Denial::beyond("statistics_minimum_difference", least, smallest)))
            }
            None => Ok(Ok(statistics::remember(transaction, &dataset, &cohorts)?)),
        }
    });
    settle(judged)
}

fn settle(judged: Result<Result<(), Denial>, registry::Error>) -> Result<(), Fault> {
    match judged {
        Ok(Ok(())) => Ok(()),
        Ok(Err(denial)) => {
            let text = format!("the policy's bound \"{}\" is exceeded", denial.bound());
            Err(Fault::new(denial, text))
        }
        Err(error) => Err(Fault::new(Code::NodeInternal, chain(&error))),
    }
}

/// The milliseconds over which queries are counted.
const DAY: u64 = 24 * 60 * 60 * 1_000;
