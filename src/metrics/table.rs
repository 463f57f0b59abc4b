//! The table of metrics. The documentation of a line is the metric's help text; its type has the labels.
//!
//! Dashboards and alerts rely on the names and labels. Adding one is free, renaming one is not.

use prometheus::{Error, Gauge, Histogram, IntCounter, IntGauge, Registry};

use super::{
    family::Family,
    labels::{
        Answer, Deferral, Depth, JobState, Mending, Processed, Published, Redelivered,
        SessionEndReason, Target,
    },
};
use crate::domain::{CheckResult, Lane, Reason, ResultLabel};

/// Seconds of a call. The lowest bounds show changes of latency below 50 ms, for an endpoint nearby. The
/// highest is twice the default time limit; only a longer limit allows more.
const CALL_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0];

/// Seconds from a job's timestamp to the revocation. A logout should take less than a second, so five
/// bounds are at most one second. A parked job or a sweep takes minutes to hours. By default, jobs are given up
/// after a day.
const AGE_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0];

/// Calls for one job. Nearly all jobs need one. By default, a job is called about ten times before it is
/// parked, and about thirty times more within a day.
const ATTEMPTS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0];

/// Declares each metric once.
macro_rules! table {
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
    ($($(#[doc = $help:literal])+ $field:ident: $series:ident<$labels:ty> = $name:literal $(in $buckets:ident)?;)+) => {
        pub struct Table {
            $($(#[doc = $help])+ pub $field: Family<$series, $labels>,)+
        }

        impl Table {
            pub fn register(registry: &Registry) -> Result<Self, Error> {
                Ok(Self {$(
                    $field: Family::register(
                        registry,
                        ($name, concat!($($help),+)),
                        table!(@buckets $($buckets)?),
                    )?,
                )+})
            }
        }
    };
}

table! {
    /// Jobs that ended, by outcome.
    processed: IntCounter<(Lane, Processed)> = "revocations_processed_total";

    /// Dead letters, by reason.
    failed: IntCounter<(Lane, Reason)> = "revocations_failed_total";

    /// Messages taken from the broker. Deliveries = processed + deferrals + in flight.
    deliveries: IntCounter<(Lane, Redelivered)> = "deliveries_total";

    /// Deliveries that were left without ending their job.
    deferrals: IntCounter<(Lane, Deferral)> = "deferrals_total";

    /// Calls of the revoke endpoint, by result.
    calls: IntCounter<ResultLabel> = "endpoint_calls_total";

    /// Seconds that a call took, by whether the endpoint itself answered.
    call_duration: Histogram<Answer> = "endpoint_call_duration_seconds" in CALL_SECONDS;

    /// Checks of a token after an answer of the revoke endpoint, by result; and failed checks of any kind.
    checks: IntCounter<CheckResult> = "verifications_total";

    /// Seconds from a job's timestamp, which its producer set, until the endpoint's success: revoked, acknowledged,
    /// accepted or gone.
    age: Histogram<Lane> = "revocation_age_seconds" in AGE_SECONDS;

    /// The same jobs whose message has no usable timestamp: none, zero, or one in the future.
    without_age: IntCounter<Lane> = "revocations_without_age_total";

    /// Dead letters whose message has no usable timestamp, by reason.
    failed_without_age: IntCounter<(Lane, Reason)> = "revocations_failed_without_age_total";

    /// Calls made for a job until it ended.
    attempts: Histogram<()> = "job_attempts" in ATTEMPTS;

    /// Jobs in flight, by state.
    in_flight: IntGauge<JobState> = "jobs_in_flight";

    /// The age of the oldest job in flight in seconds; 0 if there is none.
    oldest: Gauge<()> = "oldest_job_in_flight_seconds";

    /// The current limit of concurrent calls.
    concurrency_limit: IntGauge<()> = "concurrency_limit";

    /// 1 while all calls are paused.
    paused: IntGauge<()> = "paused";
    /// Clients whose calls are paused while others are served, or that are all paused.
    clients_paused: IntGauge<()> = "clients_paused";

    /// Deliveries that were repaired for the client library, by the repaired part.
    mended: IntCounter<Mending> = "messages_mended_total";

    /// Bytes of the messages in flight, and of those being delivered.
    in_flight_bytes: IntGauge<()> = "in_flight_bytes";

    /// 1 while both lanes are consumed from the broker.
    broker_connected: IntGauge<()> = "broker_connected";

    /// 1 while the broker blocks our publishing, because it is short of memory or disk.
    broker_blocked: IntGauge<()> = "broker_blocked";

    /// Ended sessions with the broker, of both lanes, by cause.
    sessions: IntCounter<SessionEndReason> = "broker_sessions_total";

    /// Messages that we published, by target and result.
    publishes: IntCounter<(Target, Published)> = "broker_publishes_total";

    /// Messages ready in a queue, as last sampled. The same from every replica: use max, not sum.
    queue_messages: IntGauge<Depth> = "queue_messages";

    /// When such a job last ended, in Unix seconds; 0 if none did since the start.
    last_revoked: Gauge<()> = "last_revoked_timestamp_seconds";

    /// Jobs that carried a client secret of their own, which is not used.
    client_secrets_ignored: IntCounter<()> = "client_secrets_ignored_total";
}
