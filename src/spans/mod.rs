//! Spans of jobs and calls, for OpenTelemetry.
//!
//! A delivery is a consumer span, `process` and its queue, a child of its producer's span where the
//! message names one; each call for it is a client span under that, and the endpoint gets its id. They
//! are exported only by a build with the feature `otlp`, and there only where the environment names a
//! collector. Otherwise everything here is without size and does nothing.
//!
//! A span says no more than a metric or a log line does: fixed words, numbers, a fingerprint. Texts of
//! producers and of the endpoint stay out of it, but for a checked `tracestate`, and so do tokens.
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
