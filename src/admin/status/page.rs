//! The page: read without a script, on a phone and at night.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    history::{self, History},
    sentence::{Sentence, meaning},
    sparkline, text,
};
use crate::{
    domain::{Lane, ResultLabel},
    metrics::{Counts, Label, Snapshot},
};

/// How often the page asks for itself again.
const REFRESH_SECONDS: u64 = history::EVERY.as_secs();

/// What the page is made of.
#[derive(Debug)]
pub struct View<'a> {
    /// The state in one sentence.
    pub sentence: Sentence,
    /// The numbers of this moment.
    pub now: Snapshot,
    /// Those of the last minutes.
    pub history: &'a History,
    /// How long ago each class of failed calls last grew, for those that did in the last minutes.
    pub errors: Vec<(ResultLabel, u64, Duration)>,
    /// The version and the revision of this build.
    pub build: (&'a str, &'a str),
    /// The time of day, as text.
    pub at: String,
}

/// The whole page.
#[must_use]
pub fn render(view: &View<'_>) -> Markup {
    let View { sentence, build: (version, revision), .. } = view;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { "Revoker: " (sentence.words) }
                link rel="stylesheet" href="style.css";
            }
            body {
                header {
                    h1 { "Revoker" }
                    p class={ "state " (sentence.tone.class()) } { (sentence.words) }
                }
                main {
                    (numbers(view))
                    (lines(view.history))
                    (tables(view))
                }
                footer {
                    p {
                        "Version " (version) ", revision " (revision) ". As of " (view.at) ". "
                        a href="metrics" { "Metrics" } " · " a href="readyz" { "Readiness" } " · "
                        a href="livez" { "Liveness" }
                    }
                }
            }
        }
    }
}

/// What matters now.
fn numbers(view: &View<'_>) -> Markup {
    let View { now, history, .. } = view;
    let rate_of = |lane| text::rate(history.rate_now(|snapshot| *snapshot.revoked.get(lane)));
    let tiles = [
        ("Revoked per second", text::rate(history.rate_now(history::revoked))),
        ("Of these interactive", rate_of(Lane::Interactive)),
        ("Failed calls per second", text::rate(history.rate_now(history::failed_calls))),
        ("Jobs in flight", text::count(history::in_flight(now))),
        ("Calls at a time, at most", text::count(now.concurrency_limit)),
        ("Waiting in the queues", text::count(history::backlog(now))),
        ("Revoked since the start", text::count(history::revoked(now))),
        ("Dead letters since the start", text::count(history::dead_lettered(now))),
    ];
    html! {
        section aria-label="Now" {
            dl class="tiles" {
                @for (name, value) in tiles {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

/// What went before.
fn lines(history: &History) -> Markup {
    let lines = [
        ("Revoked per second", history.rates(history::revoked)),
        ("Failed calls per second", history.rates(history::failed_calls)),
        ("Waiting in the queues", history.levels(history::backlog)),
        ("Calls at a time, at most", history.levels(|snapshot| snapshot.concurrency_limit)),
    ];
    html! {
        section {
            h2 { "The last " (text::duration(history.span())) }
            div class="lines" {
                @for (name, values) in lines {
                    figure {
                        figcaption {
                            (name) ", up to " (text::rate(values.iter().copied().fold(0.0, f64::max)))
                        }
                        (PreEscaped(sparkline::draw(name, &values)))
                    }
                }
            }
        }
    }
}

fn tables(view: &View<'_>) -> Markup {
    let View { now, errors, .. } = view;
    html! {
        div class="tables" {
            (table("Jobs in flight", &now.in_flight))
            (table("Queues", &now.queues))
            (table("Jobs that ended", &now.processed))
            (table("Dead letters by reason", &now.failed))
            section class="wide" {
                h2 { "Failed calls of late" }
                @if errors.is_empty() {
                    p { "None." }
                } @else {
                    table {
                        @for (result, count, ago) in errors {
                            tr {
                                th scope="row" { code { (result.as_str()) } ": " (meaning(*result)) }
                                td { (text::count(*count)) }
                                td { "last " (text::duration(*ago)) " ago" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table<L: Label>(title: &str, counts: &Counts<L>) -> Markup {
    html! {
        section {
            h2 { (title) }
            table {
                @for (label, count) in counts {
                    tr {
                        th scope="row" { (label.value().replace('_', " ")) }
                        td { (text::count(*count)) }
                    }
                }
            }
        }
    }
}
