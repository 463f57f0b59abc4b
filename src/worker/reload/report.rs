//! Reads the secrets again, and reports the changes.

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

/// The changes of one read. No text contains a secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReloadReport {
    pub(super) replaced: Option<Reloaded>,
    /// Whether the secret of the client that checks tokens has changed.
    pub(super) verifying: bool,
    /// The number of history keys, if they changed.
    pub(super) history_keys: Option<usize>,
    /// The new faults, each with its effect on its client.
    pub(super) faults: Vec<String>,
    /// Whether the last fault is gone.
    pub(super) recovered: bool,
}

impl SecretReloader {
    pub(super) fn new(secrets: ReloadableSecrets) -> Self {
        // The engine has reported these at the start.
        let of_clients = std::iter::once(&secrets.credentials).chain(&secrets.verifying);
        let odd = of_clients.flat_map(|credentials| credentials.oddities());
        let reported = odd.map(ToString::to_string).collect();
        Self { secrets, reported, faulty: false }
    }

    /// Reads every secret once, on a blocking thread, because a slow file system must not delay calls.
    pub(super) async fn read(&mut self) -> ReloadReport {
        let ReloadableSecrets { credentials, verifying, history_keys } = self.secrets.clone();
        let reading = move || {
            let verifying = verifying.map(|of_checks| of_checks.reload());
            (credentials.reload(), verifying, history_keys.reload())
        };
        match tokio::task::spawn_blocking(reading).await {
            Ok((clients, verifying, keys)) => {
                let (changed, of_checks) = verifying.unzip();
                let report = self.report(clients, &of_checks.unwrap_or_default(), keys);
                let verifying = changed.is_some_and(|changed| !changed.renewed.is_empty());
                ReloadReport { verifying, ..report }
            }
            // The panic hook logs a panic there, and the next read tries again.
            Err(_) => ReloadReport::default(),
        }
    }

    /// Reports a fault when it first occurs, not on every read.
    fn report(
        &mut self,
        (reloaded, faults): (Reloaded, Vec<CredentialFault>),
        of_checks: &[CredentialFault],
        keys: Result<Option<usize>, HistoryKeyFault>,
    ) -> ReloadReport {
        let is_faulty =
            keys.is_err() || faults.iter().chain(of_checks).any(CredentialFault::is_wrong);
        let was_faulty = std::mem::replace(&mut self.faulty, is_faulty);
        let before = std::mem::take(&mut self.reported);
        let mut report = ReloadReport::default();
        let of_clients = faults.iter().map(|fault| (fault.to_string(), self.meanwhile(fault)));
        let meanwhile = "the old secret stays in force for checks";
        let of_checks = of_checks.iter().map(|fault| (fault.to_string(), meanwhile));
        let mut all: Vec<_> = of_clients.chain(of_checks).collect();
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

    /// Returns a text about the secret that is used while this fault lasts.
    fn meanwhile(&self, fault: &CredentialFault) -> &'static str {
        match &fault.client_id {
            _ if !fault.is_wrong() => "it is used unchanged",
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
        if self.verifying {
            info!("secret of verify.auth replaced");
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
