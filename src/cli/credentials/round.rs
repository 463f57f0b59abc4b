//! One reading of the secrets, and what there is to say of it.

use std::{collections::BTreeSet, sync::Arc};

use tracing::{info, warn};

use crate::endpoint::{CredentialFault, Credentials, Reloaded};

/// Reads the secrets again and again; knows which faults were told before.
pub(super) struct Rounds {
    credentials: Arc<Credentials>,
    told: BTreeSet<String>,
    /// Whether any of these is more than odd.
    faulty: bool,
}

/// What one reading showed that was not so before. No text holds a secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) replaced: Option<Reloaded>,
    /// The faults that have come up, each with what that means for its client.
    pub(super) faults: Vec<String>,
    /// The last of the faults is gone.
    pub(super) mended: bool,
}

impl Rounds {
    pub(super) fn new(credentials: Arc<Credentials>) -> Self {
        // Told at the start.
        let told = credentials.oddities().iter().map(ToString::to_string).collect();
        Self { credentials, told, faulty: false }
    }

    /// Reads every secret once, apart from the runtime's own threads: a slow file system must not hold
    /// up calls.
    pub(super) async fn read(&mut self) -> News {
        let credentials = Arc::clone(&self.credentials);
        match tokio::task::spawn_blocking(move || credentials.reload()).await {
            Ok((reloaded, faults)) => self.news(reloaded, &faults),
            // A panic there has a line of its own; the next round tries again.
            Err(_) => News::default(),
        }
    }

    /// A fault is news when it comes up, not each time it is met.
    fn news(&mut self, reloaded: Reloaded, faults: &[CredentialFault]) -> News {
        let was_faulty =
            std::mem::replace(&mut self.faulty, faults.iter().any(CredentialFault::is_wrong));
        let before = std::mem::take(&mut self.told);
        let mut news = News::default();
        for fault in faults {
            let text = fault.to_string();
            if !before.contains(&text) {
                news.faults.push(format!("{text}; {}", self.meanwhile(fault)));
            }
            self.told.insert(text);
        }
        news.replaced = (reloaded.changed > 0 || reloaded.withdrawn > 0).then_some(reloaded);
        news.mended = was_faulty && !self.faulty;
        news
    }

    /// What a client with a faulty secret is called with.
    fn meanwhile(&self, fault: &CredentialFault) -> &'static str {
        match &fault.client_id {
            _ if !fault.is_wrong() => "it is in force as it is",
            Some(client_id) if self.credentials.secret(client_id).is_none() => {
                "it had none before, so its jobs cannot be called"
            }
            Some(_) => "the old secret stays in force",
            None => "the old secrets stay in force",
        }
    }
}

impl News {
    /// Says it; nothing if there is none.
    pub(super) fn log(&self) {
        if let Some(Reloaded { clients, changed, withdrawn }) = self.replaced {
            info!(clients, changed, withdrawn, "client secrets replaced");
        }
        for fault in &self.faults {
            warn!("{fault}");
        }
        if self.mended {
            info!("every client secret can be read again");
        }
    }
}
