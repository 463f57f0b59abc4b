//! The pause of one client, for whoever tells of it.

use tokio::time::Instant;

use super::circuit::Pause;
use crate::domain::ClientKey;

/// The pause of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientPause {
    /// Whose.
    pub client: ClientKey,
    /// Since when, why, and when the next probe is due.
    pub pause: Pause,
    /// When the first rejection came after which nothing was revoked; `None` if there was none.
    pub rejected_since: Option<Instant>,
}
