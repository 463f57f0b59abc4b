//! The export of spans by OTLP, as protobuf over HTTP, to the collector that the environment names.

mod client;

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _,
        TraceFlags, TraceId, TraceState, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider, Span},
};
use thiserror::Error;
use url::Url;

use self::client::CollectorClient;
use crate::{
    domain::{Fingerprint, Lane, Outcome, PerLane, TraceContext, Verdict},
    ports::Settled,
};

/// The variables that name a collector. Without them nothing is exported: a default address would make every
/// worker connect to its own machine.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The time limit for the last spans when the worker ends.
const LAST: Duration = Duration::from_secs(5);

/// The error of starting the export.
#[derive(Debug, Error)]
pub enum InitError {
    /// The client cannot be built.
    #[error("the HTTP client for spans cannot be set up")]
    Client(#[source] reqwest::Error),
    /// An environment variable is wrong.
    #[error("spans cannot be exported; check the variables OTEL_EXPORTER_OTLP_*")]
    Exporter(#[source] ExporterBuildError),
}

/// The running export, to be ended last.
#[derive(Debug)]
pub struct Exporting(Option<SdkTracerProvider>);

impl Exporting {
    /// Sends the remaining spans.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        // This blocks, and its client needs the runtime meanwhile.
        let ending = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST));
        if !matches!(ending.await, Ok(Ok(()))) {
            tracing::warn!("the last spans may be lost: the collector did not take them in time");
        }
    }
}

/// Begins to export to the collector that the environment names, if it names one: jobs out of `queues`,
/// calls to `endpoint`.
///
/// # Errors
///
/// [`InitError`].
pub fn begin(queues: PerLane<String>, endpoint: &Url) -> Result<(Spans, Exporting), InitError> {
    let named = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let disabled = std::env::var(DISABLED).is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || !ENDPOINTS.iter().any(named) {
        return Ok((Spans::none(), Exporting(None)));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(CollectorClient::new().map_err(InitError::Client)?)
        .build()
        .map_err(InitError::Exporter)?;
    // The environment's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over these.
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => Resource::builder(),
        None => Resource::builder().with_service_name("revoker"),
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.with_attribute(version).build())
        .build();
    let tracer = provider.tracer("revoker");
    let address = endpoint.host_str().unwrap_or_default().to_owned();
    let port = endpoint.port_or_known_default().unwrap_or_default();
    let export = Arc::new(Export { tracer, queues, address, port });
    Ok((Spans(Some(export)), Exporting(Some(provider))))
}

/// The exporter of spans, if there is one.
#[derive(Debug, Clone)]
pub struct Spans(Option<Arc<Export>>);

#[derive(Debug)]
struct Export {
    tracer: SdkTracer,
    queues: PerLane<String>,
    /// The address of the endpoint.
    address: String,
    port: u16,
}

impl Spans {
    /// No exporter.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// The span of a job that has just arrived.
    #[must_use]
    pub fn job(
        &self,
        lane: Lane,
        fingerprint: Fingerprint,
        producer: impl FnOnce() -> Option<TraceContext>,
    ) -> JobSpan {
        let Some(export) = &self.0 else { return JobSpan::none() };
        let queue = export.queues.get(lane).clone();
        let builder = SpanBuilder::from_name(format!("process {queue}"))
            .with_kind(SpanKind::Consumer)
            .with_attributes([
                KeyValue::new("messaging.system", "rabbitmq"),
                KeyValue::new("messaging.operation.name", "process"),
                KeyValue::new("messaging.operation.type", "process"),
                KeyValue::new("messaging.destination.name", queue),
                KeyValue::new("revoker.lane", lane.as_str()),
                KeyValue::new("revoker.fingerprint", fingerprint.to_string()),
            ]);
        let parent = producer().as_ref().and_then(remote).map_or_else(Context::new, |producer| {
            Context::new().with_remote_span_context(producer)
        });
        let span = export.tracer.build_with_context(builder, &parent);
        JobSpan(Some((Arc::clone(export), span)))
    }
}

/// The span of a delivery; dropped, it ends.
#[derive(Debug)]
pub struct JobSpan(Option<(Arc<Export>, Span)>);

impl JobSpan {
    /// The span of a delivery that is not a job yet.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// The trace of a job whose producer named none.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        named(self.0.as_ref()?.1.span_context())
    }

    /// The span of its next call, counted from 1.
    #[must_use]
    pub fn call(&self, attempt: u32) -> CallSpan {
        let Some((export, job)) = &self.0 else { return CallSpan(None) };
        let mut attributes = vec![
            KeyValue::new("http.request.method", "POST"),
            KeyValue::new("server.address", export.address.clone()),
            KeyValue::new("server.port", i64::from(export.port)),
        ];
        if attempt > 1 {
            attributes.push(KeyValue::new("http.request.resend_count", i64::from(attempt - 1)));
        }
        let builder =
            SpanBuilder::from_name("POST").with_kind(SpanKind::Client).with_attributes(attributes);
        let parent = Context::new().with_remote_span_context(job.span_context().clone());
        CallSpan(Some(export.tracer.build_with_context(builder, &parent)))
    }

    /// Ends the span.
    pub fn end(&mut self, outcome: &Outcome, settled: &Settled) {
        let Some((_, mut span)) = self.0.take() else { return };
        let name = match outcome {
            _ if *settled == Settled::Abandoned => "abandoned",
            _ if *settled == Settled::Requeued => "handed_back",
            Outcome::Done(ending) => ending.as_str(),
            Outcome::DeadLettered(letter) => {
                span.set_attribute(KeyValue::new("error.type", letter.reason.as_str()));
                span.set_status(Status::error(""));
                "dead_lettered"
            }
            Outcome::Parked(_) => "parked",
            Outcome::Requeued => "handed_back",
        };
        span.set_attribute(KeyValue::new("revoker.outcome", name));
        span.end();
    }
}

/// The span of a call; dropped, it ends.
#[derive(Debug)]
pub struct CallSpan(Option<Span>);

impl CallSpan {
    /// The trace for the call's headers; `None` to pass on the job's.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        named(self.0.as_ref()?.span_context())
    }

    /// Ends the span; `None` for a call that was not made.
    pub fn end(self, verdict: Option<&Verdict>) {
        let Some(mut span) = self.0 else { return };
        if let Some(verdict) = verdict {
            let status = match verdict {
                Verdict::Revoked
                | Verdict::Acknowledged
                | Verdict::Accepted
                | Verdict::Verified
                | Verdict::StillActive(_) => None,
                Verdict::Gone(answer) | Verdict::Rejected(answer) => Some(answer.http_status),
                Verdict::Transient(failure) => failure.http_status,
            };
            if let Some(status) = status {
                span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            }
            span.set_attribute(KeyValue::new("revoker.result", verdict.label().as_str()));
            if let Verdict::Transient(failure) = verdict {
                span.set_attribute(KeyValue::new("error.type", failure.label.as_str()));
                span.set_status(Status::error(""));
            }
        }
        span.end();
    }
}

fn named(span: &SpanContext) -> Option<TraceContext> {
    let flags = span.trace_flags().to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
    TraceContext::parse(&parent, Some(&span.trace_state().header()))
}

fn remote(trace: &TraceContext) -> Option<SpanContext> {
    let mut fields = trace.traceparent().split('-').skip(1);
    let (id, span, flags) = (fields.next()?, fields.next()?, fields.next()?);
    let members = trace.tracestate().unwrap_or_default().split(',').filter_map(|member| {
        member.trim().split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
    });
    Some(SpanContext::new(
        TraceId::from_hex(id).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::from_key_value(members).unwrap_or_default(),
    ))
}
