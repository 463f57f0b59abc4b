//! The pause of one client, for reports.

use tokio::time::Instant;

use super::circuit::Pause;
use crate::domain::ClientKey;

/// The pause of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientPause {
    /// The client.
    pub client: ClientKey,
    /// The pause.
    pub pause: Pause,
    /// When the first rejection since the last revocation came; `None` without one.
    pub rejected_since: Option<Instant>,
}
