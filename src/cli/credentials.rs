//! Rotated client secrets, taken up without a restart.
//!
//! Every secret is read again now and then, and on SIGHUP. Reading is how a change is seen: the files
//! are small, while their times of change miss a swapped link (how Kubernetes replaces a mounted
//! secret), and the system's notices of change do not come through every network file system.

mod round;
mod trigger;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::endpoint::{Credentials, Reloaded};
use round::Rounds;
use trigger::Triggers;

/// Keeps the secrets as their files have them, until `shutdown`, and tells `changed` of each change. It logs what changed, and each fault
/// once, for as long as it lasts. SIGHUP is listened to from this call on, not from the first poll: before
/// that it would end the process.
pub fn keep_fresh(
    credentials: Arc<Credentials>,
    changed: impl Fn(&Reloaded) + Send + Sync,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send {
    let mut triggers = Triggers::new(credentials.watches_files());
    let mut rounds = Rounds::new(credentials);
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
