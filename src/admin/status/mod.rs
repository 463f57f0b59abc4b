//! `GET /`: the worker's state on one page, for a person with only a browser.
//!
//! The page shows the metrics of `/metrics` and the conditions of `/readyz`. It shows classes of errors and
//! never a payload. It is read-only.

mod causes;
mod head;
mod history;
mod page;
mod rejections;
mod sentence;
mod sparkline;
pub mod text;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use maud::Markup;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::subject::Subject;
use crate::{
    domain::{ResultLabel, rfc3339},
    metrics::{Metrics, Snapshot},
    ports::{Clock, Condition, PausedClients, SystemClock},
};
use history::StatusHistory;
use rejections::Rejections;

pub const STYLE: &str = include_str!("style.css");

/// The policy allows only the style sheet: no scripts, no forms, no frames.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
                                           form-action 'none'; frame-ancestors 'none'";

/// The samples that the page shows.
#[derive(Debug)]
pub struct StatusPage {
    metrics: Arc<Metrics>,
    subject: Subject,
    /// The address of this page.
    instance: String,
    history: Mutex<StatusHistory>,
}

impl StatusPage {
    pub fn new(metrics: Arc<Metrics>, subject: Subject, instance: String) -> Self {
        Self { metrics, subject, instance, history: Mutex::default() }
    }

    /// Samples the metrics at a fixed interval. Never returns.
    pub async fn watch(&self) {
        let mut every = interval(history::EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let at = every.tick().await;
            let snapshot = self.metrics.snapshot();
            self.history().record(at, snapshot);
        }
    }

    /// The page, from the parts' reports, the paused clients and the limit of parallel calls.
    pub fn page(
        &self,
        parts: &[(&str, Condition)],
        clients: &[PausedClients],
        limit: Option<&str>,
    ) -> Markup {
        let history = self.history();
        let (now, at) = (self.metrics.snapshot(), SystemClock.now());
        let errors = errors(&history, &now);
        let rejections = Rejections::of(&history);
        page::render(&page::View {
            sentence: sentence::compose(parts, rejections, at),
            subject: &self.subject,
            instance: &self.instance,
            rejections,
            causes: self.metrics.dead_letter_groups(),
            now,
            history: &history,
            errors,
            clients,
            clock: at,
            limit,
            build: self.metrics.build(),
            at: rfc3339(at).unwrap_or_default(),
        })
    }

    fn history(&self) -> MutexGuard<'_, StatusHistory> {
        // A panic leaves a consistent list: one sample more or less.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The classes of failed calls of the last minutes: how many, and how long ago the last.
fn errors(history: &StatusHistory, now: &Snapshot) -> Vec<(ResultLabel, u64, Duration)> {
    let tells = |result: ResultLabel| !result.is_answer() || result == ResultLabel::Rejected;
    let failed = now.calls.iter().filter(|(result, _)| tells(*result));
    let grown = failed.filter_map(|(result, _)| {
        let count = |snapshot: &Snapshot| history::calls(snapshot, *result);
        let ago = history.last_growth(Instant::now(), count)?;
        Some((*result, history.grown(count), ago))
    });
    grown.collect()
}

#[cfg(test)]
mod tests;
