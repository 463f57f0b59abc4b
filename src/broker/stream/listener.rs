//! Who is told of what passes.

use std::sync::Arc;

use super::{handle::StreamHandle, mend::Mended};
use crate::{
    broker::cause::CloseCause,
    metrics::{Mending, Metrics},
};

/// Counts what was mended, and keeps what the broker says as it closes the connection.
#[derive(Debug, Clone, Default)]
pub struct ReadListener {
    handle: StreamHandle,
    metrics: Option<Arc<Metrics>>,
}

impl ReadListener {
    /// One that keeps it with that handle.
    #[must_use]
    pub const fn new(handle: StreamHandle, metrics: Option<Arc<Metrics>>) -> Self {
        Self { handle, metrics }
    }

    /// A message was delivered, after this was mended.
    pub fn delivered(&self, mended: Mended) {
        let Some(metrics) = self.metrics.as_ref().filter(|_| mended != Mended::default()) else {
            return;
        };
        for (was, what) in [
            (mended.text, Mending::Text),
            (mended.nesting, Mending::Nesting),
            (mended.size, Mending::Size),
        ] {
            if was {
                metrics.message_mended(what);
            }
        }
    }

    /// The broker closes the connection.
    pub fn closing(&self, cause: CloseCause) {
        self.handle.said(cause);
    }
}
