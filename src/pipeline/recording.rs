//! The records of jobs that ended, for outcome events and for the log.

use std::sync::Arc;

use tracing::info;

use super::{Pipeline, job_context::JobContext};
use crate::{
    domain::{
        DeadLetter, Job, JobId, JobRecord, MessageMetadata, Outcome, Proof, Reason, TokenHash,
        TokenName, rfc3339_millis,
    },
    ports::{Clock, Delivery, Endpoint, Settled},
};

/// The name of the outcome of a dead-lettered job.
const DEAD_LETTERED: &str = "dead_lettered";

/// Which records are made, and their content that is equal for all jobs.
#[derive(Debug, Clone, Default)]
pub struct RecordSettings {
    /// Whether each job that ends is recorded as an outcome event.
    pub events: bool,
    /// Whether it is recorded in the log.
    pub log: bool,
    /// How a record names the token.
    pub token_hash: TokenHash,
    /// The endpoint's profile.
    pub profile: Arc<str>,
    /// The endpoint's origin.
    pub endpoint: Arc<str>,
    /// Whether the endpoint's profile takes any client that a job names, because the call names none.
    pub takes_any_client: bool,
}

impl RecordSettings {
    const fn is_on(&self) -> bool {
        self.events || self.log
    }
}

/// The id of a job in a record. Where the token must not be named, neither may a fingerprint that stands in for an id.
fn recorded_id(metadata: &MessageMetadata, job: Option<&Job>, hash: TokenHash) -> Option<String> {
    let hides = hash == TokenHash::Omitted;
    let Some(job) = job else {
        // It is a hash of the message id, which may be the token.
        return (!hides).then(|| JobId::of_invalid(metadata).into_string());
    };
    let id = JobId::of(metadata, job).into_string();
    let shows = || id.to_ascii_lowercase().contains(&job.fingerprint.to_string());
    (!hides || !shows()).then_some(id)
}

/// The client of the job. The name of a client that is not configured is the producer's text, which may hold the token.
fn named_client(
    job: &Job,
    letter: Option<&DeadLetter>,
    takes_any_client: bool,
) -> Option<Arc<str>> {
    let name = job.client_id.as_ref()?;
    let may_be_refused = letter.is_some_and(|letter| {
        matches!(letter.reason, Reason::UnknownClient | Reason::InvalidJob | Reason::InternalError)
    });
    let is_foreign = takes_any_client || may_be_refused;
    (!is_foreign || !job.redactor().concerns(name)).then(|| Arc::clone(name))
}

impl<E: Endpoint, C: Clock> Pipeline<E, C> {
    /// The record of a job that this outcome ends, if records are wanted.
    pub(super) fn record(
        &self,
        delivery: &impl Delivery,
        context: &JobContext,
        outcome: &Outcome,
    ) -> Option<Box<JobRecord>> {
        let settings = Some(&self.settings.records).filter(|records| records.is_on())?;
        let (ended, letter) = match outcome {
            Outcome::Done(completion) => (completion.as_str(), None),
            Outcome::DeadLettered(letter) => (DEAD_LETTERED, Some(letter)),
            Outcome::Parked(_) | Outcome::Requeued => return None,
        };
        let metadata = delivery.metadata();
        let job = context.job.as_deref();
        Some(Box::new(JobRecord {
            job_id: recorded_id(metadata, job, settings.token_hash),
            token: job.map(|job| TokenName::of(job, settings.token_hash)).unwrap_or_default(),
            lane: context.lane,
            outcome: ended,
            reason: letter.map(|letter| letter.reason),
            detail: letter.map(|letter| letter.detail.clone()),
            code: letter.and_then(|letter| letter.code.clone()),
            http_status: letter.and_then(|letter| letter.http_status),
            attempts: context.history.attempts,
            requested_at: metadata.published_at,
            settled_at: letter.map_or_else(|| self.clock.now(), |letter| letter.dead_at),
            profile: Arc::clone(&settings.profile),
            endpoint: Arc::clone(&settings.endpoint),
            client_id: job.and_then(|job| named_client(job, letter, settings.takes_any_client)),
            proof: Proof::of(outcome, &context.history),
            trace_id: context.trace_id().map(str::to_owned),
            hides_token: settings.token_hash == TokenHash::Omitted,
        }))
    }

    /// Writes the record of a job to the log, if the operator wants that. Only a settled job has ended.
    pub(super) fn log_record(&self, record: &JobRecord, settled: &Settled) {
        let ended = matches!(settled, Settled::Done | Settled::LeftToBroker(_));
        if !self.settings.records.log || !ended {
            return;
        }
        info!(
            job_id = record.job_id,
            fingerprint = record.token.fingerprint.map(tracing::field::display),
            token_sha256 = record.token.token_sha256,
            lane = %record.lane,
            outcome = record.outcome,
            reason = record.reason.map(Reason::as_str),
            detail = record.detail,
            code = record.code,
            http_status = record.http_status,
            attempts = record.attempts,
            requested_at = record.requested_at.and_then(rfc3339_millis).as_deref(),
            settled_at = &*record.settled_at_text(),
            profile = &*record.profile,
            endpoint = &*record.endpoint,
            client_id = record.client_id.as_deref(),
            proof = record.proof.as_str(),
            trace_id = record.trace_id,
            "job ended"
        );
    }
}
