//! The engine that a worker and a sweep share: all parts between a source of jobs and the endpoint, assembled from the
//! configuration.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    client_pauses::{ClientPauses, FlowState},
    error::WorkerError,
};
use crate::{
    admin,
    config::Config,
    domain::VerifyWhen,
    endpoint::{CredentialSettings, Credentials, HttpEndpoint, Introspection, Reloaded},
    flow::Dispatcher,
    metrics::{Build, Metrics},
    pipeline::{BackingOff, ChecksSeen, Duplicates, FailureLog, Pipeline, Stop},
    ports::{Demand, Endpoint, SystemClock},
    spans::Spans,
};

pub struct Engine<E> {
    pub metrics: Arc<Metrics>,
    /// For the status page.
    pub subject: admin::Subject,
    pub credentials: Arc<Credentials>,
    /// The credentials of the client that checks tokens.
    pub verifying: Option<Arc<Credentials>>,
    pub flow: Arc<Dispatcher>,
    pub client_pauses: Arc<ClientPauses>,
    pub pipeline: Arc<Pipeline<E, SystemClock>>,
    pub stop: Stop,
}

impl<E> Engine<E> {
    pub fn flow_state(&self) -> Arc<FlowState> {
        let (flow, pauses) = (Arc::clone(&self.flow), Arc::clone(&self.client_pauses));
        Arc::new(FlowState { flow, pauses })
    }
}

/// Returns the most jobs in flight of each lane.
pub fn prefetch(config: &Config) -> u16 {
    config.flow.prefetch(config.broker.prefetch)
}

/// Builds the engine around the configured endpoint, which `wrap` may wrap. `has_dead_letters` says whether
/// rejected jobs become dead letters in a queue.
pub fn assemble<E: Endpoint>(
    config: &Config,
    spans: Spans,
    has_dead_letters: bool,
    wrap: impl FnOnce(HttpEndpoint) -> E,
) -> Result<Engine<E>, WorkerError> {
    // `build.rs` sets the revision.
    let build = Build { version: env!("CARGO_PKG_VERSION"), revision: env!("REVOKER_REVISION") };
    let metrics = Arc::new(Metrics::new(build)?);
    let profile = &config.endpoint.profile;
    metrics.endpoint(&profile.name, profile.proof.as_str())?;
    let origin = config.endpoint.url.origin().ascii_serialization();
    let subject = admin::Subject::new(origin, profile.name.clone());
    let (endpoint, credentials) = endpoint(config)?;
    let (endpoint, verifying) = with_checks(endpoint, config)?;
    let endpoint = wrap(endpoint);
    let flow = Arc::new(Dispatcher::new(&config.flow, Arc::clone(&metrics)));
    let client_pauses =
        Arc::new(ClientPauses::new(config, Arc::clone(&credentials), has_dead_letters));
    let telling = Arc::clone(&client_pauses);
    flow.tell_of_clients(move |client, pause| telling.log(client, pause));
    flow.know(credentials.clients());
    let stop = Stop::default();
    let pipeline = Arc::new(Pipeline {
        settings: config.pipeline.clone(),
        endpoint,
        clock: SystemClock,
        duplicates: Arc::new(Duplicates::new(
            config.pipeline.remember,
            config.pipeline.remember_capacity,
        )),
        backing_off: BackingOff::new(usize::from(prefetch(config)) / 2),
        flow: Arc::clone(&flow),
        metrics: Arc::clone(&metrics),
        checks: ChecksSeen::default(),
        failures: Arc::new(FailureLog::default()),
        spans,
        stop: stop.clone(),
        has_dead_letters,
    });
    Ok(Engine { metrics, subject, credentials, verifying, flow, client_pauses, pipeline, stop })
}

/// Builds the configured endpoint with the secrets of its clients. Connects to nothing.
pub fn endpoint(config: &Config) -> Result<(HttpEndpoint, Arc<Credentials>), WorkerError> {
    let credentials = load(&config.credentials)?;
    Ok((HttpEndpoint::new(&config.endpoint, Arc::clone(&credentials))?, credentials))
}

/// Reads secrets, and logs warnings about them.
fn load(settings: &CredentialSettings) -> Result<Arc<Credentials>, WorkerError> {
    let credentials = Credentials::load(settings).map_err(WorkerError::Credentials)?;
    for odd in credentials.oddities() {
        warn!("{odd}");
    }
    Ok(Arc::new(credentials))
}

/// Gives the endpoint its checks of tokens, if they are configured, and returns the secret of their client.
fn with_checks(
    endpoint: HttpEndpoint,
    config: &Config,
) -> Result<(HttpEndpoint, Option<Arc<Credentials>>), WorkerError> {
    let when = config.pipeline.verify.when;
    let Some(settings) = config.verify.as_ref().filter(|_| when != VerifyWhen::Never) else {
        return Ok((endpoint, None));
    };
    let credentials = load(&settings.credentials)?;
    let introspection = Introspection::new(settings, Arc::clone(&credentials))?;
    Ok((endpoint.with_introspection(introspection), Some(credentials)))
}

/// Returns a function that reports changed client secrets to the flow.
pub fn note_reloaded(flow: &Arc<Dispatcher>) -> impl Fn(&Reloaded) + Send + Sync + use<> {
    let flow = Arc::clone(flow);
    move |reloaded| {
        flow.know_anew(reloaded.clients, &reloaded.renewed, &reloaded.withdrawn);
    }
}

/// Forwards the flow's demand for jobs to a source.
pub async fn forward_demand(flow: Arc<Dispatcher>, want: impl Fn(Demand)) {
    let mut status = flow.status();
    loop {
        want(status.borrow_and_update().demand);
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Logs how many calls failed, until it is aborted.
pub async fn tell_failures(failures: Arc<FailureLog>) {
    failures.tell_counts().await;
}

/// Serves metrics and probes at `address` until `shutdown`.
pub async fn serve_admin(
    address: SocketAddr,
    metrics: &Arc<Metrics>,
    parts: admin::ReadinessParts,
    subject: admin::Subject,
    shutdown: CancellationToken,
) -> Result<JoinHandle<()>, WorkerError> {
    let refused = |source| WorkerError::Admin { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    info!(%address, "admin listening");
    Ok(tokio::spawn(admin::serve(listener, Arc::clone(metrics), parts, subject, shutdown)))
}
