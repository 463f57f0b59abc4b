//! Spans of jobs and calls, for OpenTelemetry.
//!
//! A delivery is a consumer span, a child of its producer's span if the message names one. Each call is a
//! client span below it, and the endpoint gets its id. Spans are exported only by a build with the feature
//! `otlp`, and only if the environment names a collector. Otherwise the types here are empty and do nothing.
//!
//! A span has no more content than a metric or a log line: fixed words, numbers, a fingerprint. Tokens and the
//! texts of producers and of the endpoint stay out, except a checked `tracestate`.
//!
//! Source: the semantic conventions of OpenTelemetry for messaging, RabbitMQ and HTTP.

#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub use off::{CallSpan, Exporting, JobSpan, Spans, begin};
#[cfg(feature = "otlp")]
pub use otlp::{CallSpan, Exporting, InitError, JobSpan, Spans, begin};
