//! The number of a client.

/// The number of a client with a configured secret. No other client gets it while the process runs, so the state of
/// a client survives a reload of the secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub u32);
