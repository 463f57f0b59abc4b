//! Reads the secrets again, and reports what changed.

use std::{collections::BTreeSet, path::Path};

use tracing::{info, warn};

use super::ReloadableSecrets;
use crate::{
    broker::HistoryKeyFault,
    endpoint::{CredentialFault, Reloaded},
};

/// Reads the secrets again on each call, and remembers which faults it reported.
pub(super) struct SecretReloader {
    secrets: ReloadableSecrets,
    reported: BTreeSet<String>,
    /// Whether a secret could not be read the last time.
    faulty: bool,
}

/// What one read changed. No text holds a secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReloadReport {
    pub(super) replaced: Option<Reloaded>,
    /// The number of history keys, if they changed.
    pub(super) history_keys: Option<usize>,
    /// The new faults, each with its effect on its client.
    pub(super) faults: Vec<String>,
    /// Whether the last fault is gone.
    pub(super) recovered: bool,
}

impl SecretReloader {
    pub(super) fn new(secrets: ReloadableSecrets) -> Self {
        // The engine reports these at the start.
        let reported = secrets.credentials.oddities().iter().map(ToString::to_string).collect();
        Self { secrets, reported, faulty: false }
    }

    /// Reads every secret once, on a blocking thread, because a slow file system must not delay calls.
    pub(super) async fn read(&mut self) -> ReloadReport {
        let ReloadableSecrets { credentials, history_keys } = self.secrets.clone();
        let reading = move || (credentials.reload(), history_keys.reload());
        match tokio::task::spawn_blocking(reading).await {
            Ok(((reloaded, faults), keys)) => self.report(reloaded, &faults, keys),
            // The panic hook logs a panic there, and the next read tries again.
            Err(_) => ReloadReport::default(),
        }
    }

    /// Reports a fault when it first occurs, not on every read.
    fn report(
        &mut self,
        reloaded: Reloaded,
        faults: &[CredentialFault],
        keys: Result<Option<usize>, HistoryKeyFault>,
    ) -> ReloadReport {
        let is_faulty = keys.is_err() || faults.iter().any(CredentialFault::is_wrong);
        let was_faulty = std::mem::replace(&mut self.faulty, is_faulty);
        let before = std::mem::take(&mut self.reported);
        let mut report = ReloadReport::default();
        let of_clients = faults.iter().map(|fault| (fault.to_string(), self.meanwhile(fault)));
        let mut all: Vec<_> = of_clients.collect();
        match keys {
            Ok(changed) => report.history_keys = changed,
            Err(fault) => all.push((self.describe_keys(&fault), "the old keys stay in force")),
        }
        for (text, meanwhile) in all {
            if !before.contains(&text) {
                report.faults.push(format!("{text}; {meanwhile}"));
            }
            self.reported.insert(text);
        }
        report.replaced =
            (!reloaded.renewed.is_empty() || !reloaded.withdrawn.is_empty()).then_some(reloaded);
        report.recovered = was_faulty && !self.faulty;
        report
    }

    /// Says which secret is in force while this fault lasts.
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

    /// Describes a fault of the history keys with its file.
    fn describe_keys(&self, fault: &HistoryKeyFault) -> String {
        let path = self.secrets.history_keys.path().unwrap_or_else(|| Path::new(""));
        format!("the history keys: {} {fault}", path.display())
    }
}

impl ReloadReport {
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
        if self.recovered {
            info!("every secret can be read again");
        }
    }
}
