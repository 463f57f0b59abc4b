//! One reading of the secrets, and what there is to say of it.

use std::{collections::BTreeSet, path::Path};

use tracing::{info, warn};

use super::Secrets;
use crate::{
    broker::HistoryKeyFault,
    endpoint::{CredentialFault, Reloaded},
};

/// Reads the secrets again and again; knows which faults were told before.
pub(super) struct Rounds {
    secrets: Secrets,
    told: BTreeSet<String>,
    /// Whether any of these is more than odd.
    faulty: bool,
}

/// What one reading showed that was not so before. No text holds a secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) replaced: Option<Reloaded>,
    /// How many history keys there are, if they are others than before.
    pub(super) history_keys: Option<usize>,
    /// The faults that have come up, each with what that means for its client.
    pub(super) faults: Vec<String>,
    /// The last of the faults is gone.
    pub(super) mended: bool,
}

impl Rounds {
    pub(super) fn new(secrets: Secrets) -> Self {
        // Told at the start.
        let told = secrets.credentials.oddities().iter().map(ToString::to_string).collect();
        Self { secrets, told, faulty: false }
    }

    /// Reads every secret once, apart from the runtime's own threads: a slow file system must not hold
    /// up calls.
    pub(super) async fn read(&mut self) -> News {
        let Secrets { credentials, history_keys } = self.secrets.clone();
        let reading = move || (credentials.reload(), history_keys.reload());
        match tokio::task::spawn_blocking(reading).await {
            Ok(((reloaded, faults), keys)) => self.news(reloaded, &faults, keys),
            // A panic there has a line of its own; the next round tries again.
            Err(_) => News::default(),
        }
    }

    /// A fault is news when it comes up, not each time it is met.
    fn news(
        &mut self,
        reloaded: Reloaded,
        faults: &[CredentialFault],
        keys: Result<Option<usize>, HistoryKeyFault>,
    ) -> News {
        let is_faulty = keys.is_err() || faults.iter().any(CredentialFault::is_wrong);
        let was_faulty = std::mem::replace(&mut self.faulty, is_faulty);
        let before = std::mem::take(&mut self.told);
        let mut news = News::default();
        let of_clients = faults.iter().map(|fault| (fault.to_string(), self.meanwhile(fault)));
        let mut all: Vec<_> = of_clients.collect();
        match keys {
            Ok(changed) => news.history_keys = changed,
            Err(fault) => all.push((self.of_the_keys(&fault), "the old keys stay in force")),
        }
        for (text, meanwhile) in all {
            if !before.contains(&text) {
                news.faults.push(format!("{text}; {meanwhile}"));
            }
            self.told.insert(text);
        }
        news.replaced =
            (!reloaded.renewed.is_empty() || !reloaded.withdrawn.is_empty()).then_some(reloaded);
        news.mended = was_faulty && !self.faulty;
        news
    }

    /// What a client with a faulty secret is called with.
    fn meanwhile(&self, fault: &CredentialFault) -> &'static str {
        match &fault.client_id {
            _ if !fault.is_wrong() => "it is in force as it is",
            Some(client_id) if self.secrets.credentials.secret(client_id).is_none() => {
                "it had none before, so its jobs cannot be called"
            }
            Some(_) => "the old secret stays in force",
            None => "the old secrets stay in force",
        }
    }

    /// What is wrong with the file of the history keys.
    fn of_the_keys(&self, fault: &HistoryKeyFault) -> String {
        let path = self.secrets.history_keys.path().unwrap_or_else(|| Path::new(""));
        format!("the history keys: {} {fault}", path.display())
    }
}

impl News {
    /// Says it; nothing if there is none.
    pub(super) fn log(&self) {
        if let Some(Reloaded { clients, renewed, withdrawn }) = &self.replaced {
            let (changed, withdrawn) = (renewed.len(), withdrawn.len());
            info!(clients, changed, withdrawn, "client secrets replaced");
        }
        if let Some(keys) = self.history_keys {
            info!(keys, "history keys replaced");
        }
        for fault in &self.faults {
            warn!("{fault}");
        }
        if self.mended {
            info!("every secret can be read again");
        }
    }
}
