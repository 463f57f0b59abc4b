//! Records what passes through the stream.

use std::sync::Arc;

use super::{handle::StreamHandle, mend::Mended};
use crate::{
    broker::cause::CloseCause,
    metrics::{Mending, Metrics},
};

/// Counts repairs, and keeps the broker's reason for closing the connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadListener {
    handle: StreamHandle,
    metrics: Option<Arc<Metrics>>,
}

impl ReadListener {
    /// A listener that keeps the reason in that handle.
    pub(crate) const fn new(handle: StreamHandle, metrics: Option<Arc<Metrics>>) -> Self {
        Self { handle, metrics }
    }

    /// Counts a delivered message with its repairs.
    pub(super) fn delivered(&self, mended: Mended) {
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

    /// Keeps the broker's reason for closing the connection.
    pub(super) fn closing(&self, cause: CloseCause) {
        self.handle.said(cause);
    }
}
