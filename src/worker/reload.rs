//! Reloads rotated secrets without a restart: the clients' secrets, and the keys of the history headers.
//!
//! Every secret is read again at an interval, on SIGUSR1, and on SIGHUP where [`Hangup`](super::hangup::Hangup) says so. Comparing the
//! content finds every change, and the files are small. Modification times miss a swapped link, which is how
//! Kubernetes replaces a mounted secret. File notifications do not work on every network file system.

mod report;
mod trigger;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    broker::HistoryKeys,
    endpoint::{Credentials, Reloaded},
};
use report::SecretReloader;
pub use trigger::ReloadSignals;
use trigger::ReloadTrigger;

/// The secrets that may change while the program runs.
#[derive(Debug, Clone)]
pub struct ReloadableSecrets {
    pub credentials: Arc<Credentials>,
    /// The credentials of the client that checks tokens.
    pub verifying: Option<Arc<Credentials>>,
    pub history_keys: Arc<HistoryKeys>,
}

/// The secrets of a program that takes no jobs from a broker.
impl From<Arc<Credentials>> for ReloadableSecrets {
    fn from(credentials: Arc<Credentials>) -> Self {
        Self { credentials, verifying: None, history_keys: Arc::new(HistoryKeys::none()) }
    }
}

/// Reloads the secrets until `shutdown`, and calls `changed` for each change of a client's secret. It logs each
/// change, and each fault once.
pub fn keep_fresh(
    secrets: ReloadableSecrets,
    signals: ReloadSignals,
    changed: impl Fn(&Reloaded) + Send + Sync,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let ReloadableSecrets { credentials, verifying, history_keys } = &secrets;
    let mut of_clients = std::iter::once(credentials).chain(verifying);
    let files = of_clients.any(|of| of.watches_files()) || history_keys.path().is_some();
    let mut trigger = ReloadTrigger::new(files, signals);
    let mut reloader = SecretReloader::new(secrets);
    async move {
        let reloading = async {
            loop {
                trigger.next().await;
                let report = reloader.read().await;
                report.replaced.iter().for_each(&changed);
                report.log();
            }
        };
        let _: Option<()> = shutdown.run_until_cancelled(reloading).await;
    }
}

#[cfg(test)]
mod tests;
