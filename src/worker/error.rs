//! The errors that keep a worker from starting or continuing.

use std::{error::Error, io, net::SocketAddr};

use thiserror::Error;

use crate::{
    broker::{HistoryKeyFault, TopologyError},
    endpoint::{ClientError, CredentialFault},
};

#[derive(Debug, Error)]
pub enum WorkerError {
    /// Client secrets that cannot be read: all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Credentials(Vec<CredentialFault>),
    #[error("broker.history_key_file names a file that {0}")]
    HistoryKeys(HistoryKeyFault),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Spans(Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A bug: two metrics share a name.
    #[error("the metrics cannot be declared")]
    Metrics(#[from] prometheus::Error),
    #[error("the admin address {address} cannot be bound")]
    Admin { address: SocketAddr, source: io::Error },
    #[error("signals cannot be handled")]
    Signals(#[source] io::Error),
}

impl WorkerError {
    /// Whether the operator can fix it in the configuration.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Credentials(_)
            | Self::HistoryKeys(_)
            | Self::Client(_)
            | Self::Spans(_)
            | Self::Topology(_) => true,
            Self::Metrics(_) | Self::Admin { .. } | Self::Signals(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ErrorChain;

    /// `run` and `check` print the chain, so that no cause is lost and none is printed twice.
    #[test]
    fn the_cause_is_printed_once() {
        let tls = ClientError::Tls(rustls::Error::General("no cipher".to_owned()));
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let source = io::Error::other("in use");
        for (error, expected) in [
            (tls.into(), "the TLS client cannot be set up: unexpected error: no cipher"),
            (
                WorkerError::Admin { address, source },
                "the admin address 127.0.0.1:80 cannot be bound: in use",
            ),
            (
                WorkerError::HistoryKeys(HistoryKeyFault::Empty),
                "broker.history_key_file names a file that holds no key",
            ),
        ] {
            assert_eq!(ErrorChain(&error).to_string(), expected);
        }
    }
}
