//! What a part says of clients that are paused.

use std::time::SystemTime;

/// A client whose calls are paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PausedClient {
    /// Its id.
    pub id: String,
    /// Why, in a few words.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
    /// When the next probe is due.
    pub next_probe: SystemTime,
    /// The audience of jobs that name none.
    pub audience: String,
    /// The URL that is called, without secrets.
    pub endpoint: String,
    /// What to type once the cause is mended, each with what it does.
    pub commands: Vec<(&'static str, String)>,
}

/// The clients that are paused: the first of them, and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PausedClients {
    /// The first ones.
    pub named: Vec<PausedClient>,
    /// How many more are paused.
    pub more: usize,
}
