//! Following an experiment over a line that may break.

use std::time::Duration;

use protocol::ExperimentId;
use protocol::wire::{refusal, v1};
use tonic::{Status, Streaming};
use transport::Line;
use v1::researcher_service_client::ResearcherServiceClient;

use crate::{Error, Event};

/// The events of one experiment, in order, each once.
#[derive(Debug)]
pub struct Follower {
    service: ResearcherServiceClient<Line>,
    experiment: ExperimentId,
    known: u64,
    stream: Option<Streaming<v1::ExperimentEvent>>,
    has_ended: bool,
    patience: Patience,
}

/// How long a follower keeps trying while nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in a row without an event before following is given up.
    pub attempts: u32,
    /// The wait before the first further attempt; it doubles with each, up to five seconds.
    pub delay: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 20, delay: Duration::from_millis(100) }
    }
}

impl Follower {
    pub(crate) fn new(
        service: ResearcherServiceClient<Line>,
        experiment: ExperimentId,
        after: u64,
    ) -> Self {
        let (stream, has_ended, patience) = (None, false, Patience::default());
        Self { service, experiment, known: after, stream, has_ended, patience }
    }

    /// Sets how long to keep trying while nobody answers.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Waits for the next event; none follows once the experiment has ended.
    ///
    /// It is safe to drop the returned future: no event is lost.
    ///
    /// # Errors
    ///
    /// The coordinator refuses, is not understood, or does not answer for as long as the patience.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        let mut attempt = 0;
        loop {
            if self.has_ended {
                return Ok(None);
            }
            match self.receive().await {
                Ok(Some(message)) if message.sequence <= self.known => {}
                Ok(Some(message)) => {
                    let event = Event::try_from(message)?;
                    self.known = event.sequence;
                    self.has_ended = event.is_last();
                    return Ok(Some(event));
                }
                Ok(None) if self.is_over().await => {
                    self.has_ended = true;
                    return Ok(None);
                }
                // The coordinator shuts down, and is expected back.
                Ok(None) => self.pause(&mut attempt, Status::unavailable(ENDED)).await?,
                Err(status) => self.pause(&mut attempt, status).await?,
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<v1::ExperimentEvent>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            empty => {
                let request = v1::WatchExperimentRequest {
                    experiment_id: self.experiment.to_string(),
                    after: self.known,
                };
                let answer = self.service.watch_experiment(request).await?;
                empty.insert(answer.into_inner())
            }
        };
        stream.message().await
    }

    /// Asks whether the experiment has ended; whoever knows all its events is told none.
    async fn is_over(&mut self) -> bool {
        let request = v1::ShowExperimentRequest { experiment_id: self.experiment.to_string() };
        let answer = self.service.show_experiment(request).await;
        let summary = answer.ok().and_then(|answer| answer.into_inner().summary);
        summary.is_some_and(|summary| LAST_STATES.contains(&summary.state.as_str()))
    }

    /// Waits before the line is taken up again, or gives up.
    async fn pause(&mut self, attempt: &mut u32, status: Status) -> Result<(), Error> {
        self.stream = None;
        *attempt += 1;
        if refusal::code(&status).is_some() || *attempt > self.patience.attempts {
            return Err(status.into());
        }
        tracing::debug!(%status, attempt, "following again");
        tokio::time::sleep(self.delay(*attempt)).await;
        Ok(())
    }

    fn delay(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.patience.delay.saturating_mul(doubled).min(LONGEST_DELAY)
    }
}

const ENDED: &str = "the coordinator ended the stream";
const LAST_STATES: [&str; 3] = ["completed", "cancelled", "failed"];
const LONGEST_DELAY: Duration = Duration::from_secs(5);
