//! The history of an experiment, read out of its rounds and replies.
//!
//! Validation on global updates measures the parameters that a site received; so what a reply of round `r` says of
//! them is told under round `r - 1`, which produced them. Round 0 is the start.

use aggregation::{SiteMetrics, pool};
use protocol::history::{FederationMetric, History, HistoryRound, HistorySite};
use protocol::{
    ArtifactReference, Code, DatasetName, ExperimentId, Mode, NodeId, Timestamp, TrainReply,
};
use serde_json::json;
use store::Transaction;
use store::rusqlite::{OptionalExtension, params};

use crate::checkpoint::Checkpoint;
use crate::record::{Error, News, column, read, read_json, timestamp, to_json, write_news};
use crate::submission::Submission;

/// A stored reply.
struct Stored {
    round: u32,
    node: NodeId,
    dataset: DatasetName,
    used: bool,
    loss: Option<f64>,
    reply: TrainReply,
}

/// A stored round of training, or the start.
struct Row {
    round: u32,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    model: Option<ArtifactReference>,
}

/// Reads the whole history; nothing where there is no such experiment.
pub(crate) fn load(
    transaction: &Transaction<'_>,
    id: ExperimentId,
) -> Result<Option<History>, Error> {
    let found: Option<(String, String)> = transaction
        .query_row(
            "SELECT submission, state FROM experiments WHERE experiment_id = ?1",
            [id.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((submission, state)) = found else { return Ok(None) };
    let submission: Submission = read_json("experiments", &submission)?;
    let replies = load_replies(transaction, id, 0..=u32::MAX)?;
    let rows = load_rows(transaction, id, 0..=u32::MAX)?;
    Ok(Some(History {
        experiment_id: id,
        name: submission.name.clone(),
        state,
        seed: submission.seed,
        rounds_planned: submission.specification.rounds.get(),
        rounds: rows.into_iter().map(|row| assemble(row, &replies)).collect(),
    }))
}

/// Marks what a round used, keeps its model and tells watchers; a round is closed once, however often it is asked.
pub(crate) fn close_round(
    transaction: &Transaction<'_>,
    submission: &Submission,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Result<(), Error> {
    let id = submission.experiment_id;
    let mut mark = transaction.prepare_cached("UPDATE replies SET used = 1 WHERE round_id = ?1")?;
    for round_id in &checkpoint.used {
        mark.execute([round_id.to_string()])?;
    }
    let trains = submission.mode(checkpoint.round) == Mode::Train;
    let first = if trains { keep_model(transaction, id, checkpoint, now)? } else { true };
    if !first {
        return Ok(());
    }
    if let Some(measured) =
        load_round(transaction, id, checkpoint.round - 1)?.filter(|round| !round.metrics.is_empty())
    {
        write_news(transaction, id, &news("measured", &measured), now)?;
    }
    let finished = load_round(transaction, id, checkpoint.round)?.filter(|_| trains);
    if let Some(finished) = finished {
        write_news(transaction, id, &news("round-finished", &finished), now)?;
    }
    Ok(())
}

/// The round with the best model: by the first metric that the sites measure, else by the training loss.
pub(crate) fn best_round(
    transaction: &Transaction<'_>,
    submission: &Submission,
) -> Result<Option<u32>, Error> {
    let id = submission.experiment_id;
    let mut select = transaction.prepare_cached(
        "SELECT round FROM rounds WHERE experiment_id = ?1 AND model_kept ORDER BY round",
    )?;
    let rounds = select.query_map([id.to_string()], |row| row.get(0))?;
    let mut best: Option<(u32, f64)> = None;
    for round in rounds.collect::<Result<Vec<u32>, _>>()? {
        let quality = load_round(transaction, id, round)?.and_then(|round| quality(&round));
        if let Some(quality) = quality
            && best.is_none_or(|(_, least)| quality > least)
        {
            best = Some((round, quality));
        }
    }
    Ok(best.map(|(round, _)| round))
}

/// How good a round's model is: larger is better.
fn quality(round: &HistoryRound) -> Option<f64> {
    match round.metrics.first() {
        Some(metric) if is_error(&metric.name) => Some(-metric.value),
        Some(metric) => Some(metric.value),
        None => round.loss.map(|loss| -loss),
    }
}

/// Whether smaller values of a metric are better.
fn is_error(name: &str) -> bool {
    matches!(name, "LOG_LOSS" | "MEAN_SQUARE_ERROR" | "MEAN_ABSOLUTE_ERROR")
}

fn keep_model(
    transaction: &Transaction<'_>,
    id: ExperimentId,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Result<bool, Error> {
    let changed = transaction
        .prepare_cached(
            "UPDATE rounds SET ended_at = ?3, model = ?4, model_digest = ?5, model_kept = 1
             WHERE experiment_id = ?1 AND round = ?2 AND ended_at IS NULL",
        )?
        .execute(params![
            id.to_string(),
            checkpoint.round,
            column(now),
            to_json(&checkpoint.model),
            checkpoint.model.digest.to_string()
        ])?;
    Ok(changed > 0)
}

fn news(name: &str, round: &HistoryRound) -> News {
    let sites: Vec<_> = round.sites.iter().map(site_fields).collect();
    let fields = json!({
        "round": round.round,
        "loss": round.loss,
        "metrics": round.metrics,
        "model": round.model,
        "sites": sites,
    });
    News::new(name, fields)
}

/// What watchers are told of a site: values, without the sums behind them.
fn site_fields(site: &HistorySite) -> serde_json::Value {
    let values = |report: &Option<protocol::MetricsReport>| {
        report.as_ref().map(|report| {
            let values = report.metrics.iter().map(|(name, value)| (name.clone(), json!(value)));
            values.collect::<serde_json::Map<_, _>>()
        })
    };
    json!({
        "site": { "node": site.node, "dataset": site.dataset },
        "code": site.code,
        "used": site.used,
        "sample_count": site.sample_count,
        "loss": site.loss,
        "metrics": values(&site.metrics),
        "update_metrics": values(&site.update_metrics),
        "training_seconds": site.training_seconds,
    })
}

fn load_round(
    transaction: &Transaction<'_>,
    id: ExperimentId,
    round: u32,
) -> Result<Option<HistoryRound>, Error> {
    let replies = load_replies(transaction, id, round..=round.saturating_add(1))?;
    let rows = load_rows(transaction, id, round..=round)?;
    Ok(rows.into_iter().next().map(|row| assemble(row, &replies)))
}

/// Puts a round together: its own replies, and what the replies of the next round say of its model.
fn assemble(row: Row, replies: &[Stored]) -> HistoryRound {
    let own: Vec<&Stored> = replies.iter().filter(|stored| stored.round == row.round).collect();
    let next = || replies.iter().filter(|stored| stored.round == row.round + 1 && stored.used);
    let mut sites: Vec<HistorySite> = own.iter().map(|stored| site(stored, replies)).collect();
    for stored in next() {
        let known =
            sites.iter().any(|one| one.node == stored.node && one.dataset == stored.dataset);
        if !known && stored.reply.metrics_before.is_some() {
            sites.push(measured_only(stored));
        }
    }
    sites.sort_by(|one, other| {
        (one.node.as_str(), one.dataset.as_str())
            .cmp(&(other.node.as_str(), other.dataset.as_str()))
    });
    let Row { round, started_at, ended_at, model } = row;
    let loss = mean_loss(&own);
    let metrics = pooled(next());
    HistoryRound { round, started_at, ended_at, model, metrics, loss, sites }
}

fn site(stored: &Stored, replies: &[Stored]) -> HistorySite {
    let mut later = replies.iter().filter(|other| {
        other.round == stored.round + 1
            && other.used
            && other.node == stored.node
            && other.dataset == stored.dataset
    });
    let reply = &stored.reply;
    HistorySite {
        node: stored.node.clone(),
        dataset: stored.dataset.clone(),
        code: reply.code,
        used: stored.used,
        sample_count: reply.sample_count,
        loss: stored.loss,
        metrics: later.next().and_then(|other| other.reply.metrics_before.clone()),
        update_metrics: reply.metrics_after.clone(),
        warnings: reply.warnings.clone(),
        training_seconds: reply.timing.rtime_training,
    }
}

/// A site that measured the round's model without having had a part in making it.
fn measured_only(stored: &Stored) -> HistorySite {
    HistorySite {
        node: stored.node.clone(),
        dataset: stored.dataset.clone(),
        code: Code::Ok,
        used: false,
        sample_count: 0,
        loss: None,
        metrics: stored.reply.metrics_before.clone(),
        update_metrics: None,
        warnings: Vec::new(),
        training_seconds: 0.0,
    }
}

fn mean_loss(stored: &[&Stored]) -> Option<f64> {
    let used = stored.iter().filter(|stored| stored.used);
    let (mut sum, mut rows) = (0.0, 0.0);
    for (loss, count) in used.filter_map(|one| Some((one.loss?, one.reply.sample_count))) {
        #[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
        let weight = count as f64;
        sum += weight * loss;
        rows += weight;
    }
    (rows > 0.0).then(|| sum / rows)
}

fn pooled<'a>(replies: impl Iterator<Item = &'a Stored>) -> Vec<FederationMetric> {
    let sites: Vec<SiteMetrics<'a>> = replies
        .filter_map(|stored| {
            let report = stored.reply.metrics_before.as_ref()?;
            Some(SiteMetrics { node: &stored.node, dataset: &stored.dataset, report })
        })
        .collect();
    pool(&sites)
}

/// Reads replies in the order of aggregation; of several attempts of a site the used one, else the last.
fn load_replies(
    transaction: &Transaction<'_>,
    id: ExperimentId,
    rounds: std::ops::RangeInclusive<u32>,
) -> Result<Vec<Stored>, Error> {
    let mut select = transaction.prepare_cached(
        "SELECT round, node, dataset, used, loss, body FROM replies
         WHERE experiment_id = ?1 AND round BETWEEN ?2 AND ?3
         ORDER BY round, node, dataset, used DESC, at DESC",
    )?;
    let rows = select.query_map(params![id.to_string(), rounds.start(), rounds.end()], |row| {
        let texts: [String; 3] = [row.get(1)?, row.get(2)?, row.get(5)?];
        Ok((row.get::<_, u32>(0)?, texts, row.get::<_, bool>(3)?, row.get(4)?))
    })?;
    let mut replies: Vec<Stored> = Vec::new();
    for row in rows {
        let (round, [node, dataset, body], used, loss) = row?;
        let (node, dataset): (NodeId, DatasetName) =
            (read("replies", &node)?, read("replies", &dataset)?);
        let repeated = replies.last().is_some_and(|last| {
            last.round == round && last.node == node && last.dataset == dataset
        });
        if !repeated {
            let reply = read_json("replies", &body)?;
            replies.push(Stored { round, node, dataset, used, loss, reply });
        }
    }
    Ok(replies)
}

fn load_rows(
    transaction: &Transaction<'_>,
    id: ExperimentId,
    rounds: std::ops::RangeInclusive<u32>,
) -> Result<Vec<Row>, Error> {
    let mut select = transaction.prepare_cached(
        "SELECT round, started_at, ended_at, model FROM rounds
         WHERE experiment_id = ?1 AND round BETWEEN ?2 AND ?3 ORDER BY round",
    )?;
    let rows = select.query_map(params![id.to_string(), rounds.start(), rounds.end()], |row| {
        let instants: [Option<i64>; 2] = [row.get(1)?, row.get(2)?];
        Ok((row.get::<_, u32>(0)?, instants, row.get::<_, Option<String>>(3)?))
    })?;
    let mut loaded = Vec::new();
    for row in rows {
        let (round, [started_at, ended_at], model) = row?;
        loaded.push(Row {
            round,
            started_at: started_at.map(timestamp),
            // The start was never made by a round.
            ended_at: ended_at.filter(|_| round > 0).map(timestamp),
            model: model.map(|model| read_json("rounds", &model)).transpose()?,
        });
    }
    Ok(loaded)
}
