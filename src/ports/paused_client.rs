//! The report about paused clients.

use std::time::SystemTime;

/// A client whose calls are paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PausedClient {
    /// The client's id.
    pub id: String,
    /// The cause, in a few words.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
    /// When the next probe is due.
    pub next_probe: SystemTime,
    /// The default audience of jobs.
    pub audience: String,
    /// The endpoint's URL, without secrets.
    pub endpoint: String,
    /// The commands to run once the cause is fixed, each with its purpose.
    pub commands: Vec<(&'static str, String)>,
}

/// The paused clients: the first ones, and the number of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PausedClients {
    /// The first ones.
    pub named: Vec<PausedClient>,
    /// The number of the others.
    pub more: usize,
}
