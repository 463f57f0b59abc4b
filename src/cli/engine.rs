//! The engine that `run` and `sweep` share: everything between a source of jobs and the endpoint, wired
//! together from the configuration.

use std::{net::SocketAddr, sync::Arc};

use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    EXIT_USAGE,
    client_pauses::{ClientPauses, FlowState},
};
use crate::{
    admin,
    broker::HistoryKeyFault,
    config::Config,
    endpoint::{ClientError, CredentialFault, Credentials, HttpEndpoint, Reloaded},
    flow::Dispatcher,
    metrics::{Build, Metrics},
    pipeline::{BackingOff, Duplicates, Pipeline, Stop},
    ports::{Endpoint, SystemClock},
    spans::Spans,
};

/// The engine, ready to run.
pub struct Engine<E> {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whose secrets are known.
    pub credentials: Arc<Credentials>,
    /// Which call may start.
    pub flow: Arc<Dispatcher>,
    /// What is said of clients that are paused.
    pub client_pauses: Arc<ClientPauses>,
    /// What every job passes through.
    pub pipeline: Arc<Pipeline<E, SystemClock>>,
    /// When to leave.
    pub stop: Stop,
}

/// Why the engine cannot start.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Secrets that cannot be read.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Credentials {
        /// All of them.
        faults: Vec<CredentialFault>,
    },
    /// The keys of the history headers cannot be read.
    #[error("broker.history_key_file names a file that {0}")]
    HistoryKeys(#[source] HistoryKeyFault),
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A fault inside this program.
    #[error("the metrics cannot be declared: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The admin port is not to be had.
    #[error("the admin address {address} cannot be bound: {source}")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// The system's fault.
        source: std::io::Error,
    },
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signals(std::io::Error),
}

impl EngineError {
    /// What the operator can mend in the configuration is wrong usage, the rest a failure.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Credentials { .. } | Self::HistoryKeys(_) | Self::Client(_) => EXIT_USAGE,
            Self::Metrics(_) | Self::Admin { .. } | Self::Signals(_) => 1,
        }
    }
}

/// How many jobs may be in flight at a time, of each lane.
pub fn prefetch(config: &Config) -> u16 {
    config.flow.prefetch(config.broker.prefetch)
}

impl<E> Engine<E> {
    /// The flow, for `/readyz` and the page.
    pub fn flow_state(&self) -> Arc<FlowState> {
        Arc::new(FlowState::new(Arc::clone(&self.flow), Arc::clone(&self.client_pauses)))
    }
}

/// Puts the engine together around the configured endpoint, as `wrap` has it. `has_dead_letters` says whether
/// rejected jobs are dead letters in a queue.
///
/// # Errors
///
/// [`EngineError`].
pub fn assemble<E: Endpoint>(
    config: &Config,
    spans: Spans,
    has_dead_letters: bool,
    wrap: impl FnOnce(HttpEndpoint) -> E,
) -> Result<Engine<E>, EngineError> {
    let revision = option_env!("REVOKER_REVISION").unwrap_or("unknown");
    let build = Build { version: env!("CARGO_PKG_VERSION"), revision };
    let metrics = Arc::new(Metrics::new(build)?);
    let credentials = Credentials::load(&config.credentials)
        .map_err(|faults| EngineError::Credentials { faults })?;
    for odd in credentials.oddities() {
        warn!("{odd}");
    }
    let credentials = Arc::new(credentials);
    let endpoint = wrap(HttpEndpoint::new(&config.endpoint, Arc::clone(&credentials))?);
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
        spans,
        stop: stop.clone(),
    });
    Ok(Engine { metrics, credentials, flow, client_pauses, pipeline, stop })
}

/// Tells the flow whose secrets were read anew.
pub fn renew(flow: &Arc<Dispatcher>) -> impl Fn(&Reloaded) + Send + Sync + use<> {
    let flow = Arc::clone(flow);
    move |reloaded| {
        flow.know_anew(reloaded.clients, &reloaded.renewed, &reloaded.withdrawn);
    }
}

/// Serves metrics and probes at `address` until `shutdown`.
///
/// # Errors
///
/// [`EngineError::Admin`] if the address is not to be had.
pub async fn serve_admin(
    address: SocketAddr,
    metrics: &Arc<Metrics>,
    parts: admin::Parts,
    shutdown: CancellationToken,
) -> Result<JoinHandle<()>, EngineError> {
    let refused = |source| EngineError::Admin { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    info!(%address, "admin listening");
    Ok(tokio::spawn(admin::serve(listener, Arc::clone(metrics), parts, shutdown)))
}
