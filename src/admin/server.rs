//! The admin port: few connections, each short.
//!
//! This loop replaces `axum::serve`, which limits neither the number of connections nor their duration.
//! So a slow or hostile scraper could use up the file descriptors and the memory that consuming needs.
//! Here each connection carries one request and has one time limit. Connections beyond
//! [`MAX_CONNECTIONS`] wait in the kernel's backlog.

use std::{sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    routes::{ReadinessParts, routes},
    status::StatusPage,
    subject::Subject,
};
use crate::metrics::Metrics;

/// Connections served at a time: a few scrapers, a few probes, a person.
pub(super) const MAX_CONNECTIONS: usize = 32;

/// The time limit of one connection, from being accepted to the last byte of its answer.
pub(super) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The most of a request that is held, in bytes. hyper takes no less than 8 KiB.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// The wait after a failure to accept. Most often the process is out of file descriptors, and an
/// immediate retry would only use CPU time.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// The time for open connections to finish once the worker shuts down.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves metrics, probes and the page on `listener` until `shutdown`, then finishes the open connections. An error
/// here never ends the worker.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    parts: ReadinessParts,
    subject: Subject,
    shutdown: CancellationToken,
) {
    let status = Arc::new(StatusPage::new(Arc::clone(&metrics), subject, address(&listener)));
    let service = TowerToHyperService::new(routes(metrics, parts, Arc::clone(&status)));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            let stream = next(&listener, &mut connections).await;
            let connection = http1::Builder::new()
                .keep_alive(false)
                .max_buf_size(MAX_REQUEST_BYTES)
                .serve_connection(TokioIo::new(stream), service.clone());
            // The result is dropped: the scraper sees how the connection ended.
            connections.spawn(async { drop(timeout(CONNECTION_TIMEOUT, connection).await) });
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = accepting => {}
        () = status.watch() => {}
    }
    drop(listener);
    drop(
        timeout(CLOSING_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await,
    );
    connections.shutdown().await;
}

/// The address that it listens on, as Prometheus names an instance.
fn address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}

/// The next connection, once there is room for it.
async fn next(listener: &TcpListener, connections: &mut JoinSet<()>) -> TcpStream {
    while connections.try_join_next().is_some() {}
    if connections.len() >= MAX_CONNECTIONS {
        connections.join_next().await;
    }
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "the admin port cannot accept a connection");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
