//! Rotated secrets, taken up without a restart: the clients', and the keys of the history headers.
//!
//! Every secret is read again now and then, and on SIGHUP. Reading is how a change is seen: the files
//! are small, while their times of change miss a swapped link (how Kubernetes replaces a mounted
//! secret), and the system's notices of change do not come through every network file system.

mod round;
mod trigger;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    broker::HistoryKeys,
    endpoint::{Credentials, Reloaded},
};
use round::Rounds;
use trigger::Triggers;

/// What may change while the program runs.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The clients' secrets.
    pub credentials: Arc<Credentials>,
    /// The keys of the history headers.
    pub history_keys: Arc<HistoryKeys>,
}

/// Of a program that takes no jobs from a broker.
impl From<Arc<Credentials>> for Secrets {
    fn from(credentials: Arc<Credentials>) -> Self {
        Self { credentials, history_keys: Arc::new(HistoryKeys::none()) }
    }
}

/// Keeps the secrets as their files have them, until `shutdown`, and tells `changed` of each change of a
/// client's secret. It logs what changed, and each fault once, for as long as it lasts. SIGHUP is
/// listened to from this call on, not from the first poll: before that it would end the process.
pub fn keep_fresh(
    secrets: Secrets,
    changed: impl Fn(&Reloaded) + Send + Sync,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let files = secrets.credentials.watches_files() || secrets.history_keys.path().is_some();
    let mut triggers = Triggers::new(files);
    let mut rounds = Rounds::new(secrets);
    async move {
        let refreshing = async {
            loop {
                triggers.next().await;
                let news = rounds.read().await;
                news.replaced.iter().for_each(&changed);
                news.log();
            }
        };
        let _: Option<()> = shutdown.run_until_cancelled(refreshing).await;
    }
}

#[cfg(test)]
mod tests;
