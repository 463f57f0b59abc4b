//! The page: readable without a script, on a phone, light or dark.

use std::time::{Duration, SystemTime};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    causes, head,
    history::{self, StatusHistory},
    rejections::Rejections,
    sentence::{meaning, moment, next_probe},
    sparkline, text,
};
use crate::{
    admin::subject::Subject,
    domain::{Lane, ResultLabel, grouped},
    metrics::{DeadLetterGroup, Label, LabelCounts, Snapshot},
    ports::{PausedClient, PausedClients},
};

const REFRESH_SECONDS: u64 = history::EVERY.as_secs();

#[derive(Debug)]
pub struct View<'a> {
    /// The class in the style sheet, and the state in one sentence.
    pub sentence: (&'static str, String),
    pub subject: &'a Subject,
    pub instance: &'a str,
    pub rejections: Rejections,
    /// The groups of dead letters, the largest first.
    pub causes: Vec<DeadLetterGroup>,
    pub now: Snapshot,
    pub history: &'a StatusHistory,
    /// The classes of failed calls in the last minutes: result, number, and time since the last.
    pub errors: Vec<(ResultLabel, u64, Duration)>,
    pub clients: &'a [PausedClients],
    pub clock: SystemTime,
    pub limit: Option<&'a str>,
    pub build: (&'a str, &'a str),
    pub at: String,
}

pub fn render(view: &View<'_>) -> Markup {
    let View { sentence: (tone, words), build: (version, revision), .. } = view;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content=(REFRESH_SECONDS);
                title { "Revoker on " (view.subject.host) ": " (words) }
                link rel="stylesheet" href="style.css";
            }
            body {
                header {
                    h1 { "Revoker" }
                    p class={ "state " (tone) } { (words) }
                    (head::render(view.subject, view.instance))
                }
                main {
                    @for clients in view.clients { (paused_clients(clients, view.clock)) }
                    (numbers(view))
                    (rejections(view))
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

fn numbers(view: &View<'_>) -> Markup {
    let View { now, history, .. } = view;
    let interactive = history.rate_now(|snapshot| *snapshot.done.get(Lane::Interactive));
    let tiles = [
        ("Of these interactive, per second", text::number(interactive)),
        ("Jobs in flight", grouped(history::in_flight(now))),
        ("Done since the start", grouped(history::done(now))),
        ("Dead letters since the start", grouped(history::dead_lettered(now))),
    ];
    html! {
        section {
            h2 {
                "Now"
                @if history.has_lines() { ", and the last " (text::duration(history.span())) }
            }
            div class="tiles" { (charts(view)) }
            dl class="tiles" {
                @for (name, value) in tiles {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

fn charts(view: &View<'_>) -> Markup {
    let View { now, history, limit, .. } = view;
    let charts = [
        (
            "Done per second",
            text::number(history.rate_now(history::done)),
            history.rates(history::done),
            None,
        ),
        (
            "Failed calls per second",
            text::number(history.rate_now(history::failed_calls)),
            history.rates(history::failed_calls),
            None,
        ),
        (
            "Waiting in the queues",
            grouped(history::backlog(now)),
            history.levels(history::backlog),
            None,
        ),
        (
            "Concurrency limit",
            grouped(now.concurrency_limit),
            history.levels(|snapshot| snapshot.concurrency_limit),
            *limit,
        ),
    ];
    html! {
        @for (name, value, line, why) in charts {
            figure {
                figcaption { (name) }
                p class="value" { (value) }
                @if let Some(why) = why { p class="hint" { (why) } }
                @if history.has_lines() {
                    (PreEscaped(sparkline::draw(name, &line)))
                    p class="hint" { "up to " (text::number(line.into_iter().fold(0.0, f64::max))) }
                } @else {
                    p class="hint" { "a chart follows in a few seconds" }
                }
            }
        }
    }
}

/// The share of rejections, and what it means.
fn rejections(view: &View<'_>) -> Markup {
    let (rejections, span) = (view.rejections, view.history.span());
    html! {
        @if rejections.answers > 0 {
            section class={ "note" @if rejections.are_odd() { " waiting" } } {
                p {
                    strong { (rejections) } " (" (rejections.percent()) ", within " (text::duration(span)) "). "
                    (rejections.meaning())
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
            (causes::render(&view.causes, view.subject.sweep.is_some()))
            section class="wide" {
                h2 { "Recent failed calls" }
                @if errors.is_empty() {
                    p class="none" { "None." }
                } @else {
                    table {
                        @for (result, count, ago) in errors {
                            tr {
                                th scope="row" { code { (result.as_str()) } ": " (meaning(*result)) }
                                td { (grouped(*count)) }
                                td class="hint" { "last " (text::duration(*ago)) " ago" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table<L: Label>(title: &str, counts: &LabelCounts<L>) -> Markup {
    html! {
        section {
            h2 { (title) }
            table {
                @for (label, count) in counts {
                    tr class=[(*count == 0).then_some("none")] {
                        th scope="row" { (label.value().replace('_', " ")) }
                        td { (grouped(*count)) }
                    }
                }
            }
        }
    }
}

/// The paused clients, each with its cause and the commands that help.
pub(super) fn paused_clients(
    PausedClients { named, more }: &PausedClients,
    now: SystemTime,
) -> Markup {
    html! {
        @if !named.is_empty() {
            section class="clients" {
                h2 { "Paused clients" }
                @for client in named { (paused_client(client, now)) }
                @if *more > 0 { p class="hint" { "and " (grouped(*more as u64)) " more" } }
            }
        }
    }
}

fn paused_client(client: &PausedClient, now: SystemTime) -> Markup {
    html! {
        div {
            p {
                strong { (client.id) } " since " (moment(client.since, now)) ": " (client.reason)
                (next_probe(Some(client.next_probe), now)) "."
            }
            p class="hint" { "Audience " (client.audience) ", endpoint " (client.endpoint) }
            @for (what, command) in &client.commands {
                p class="hint" { (what) ":" }
                pre { code { (command) } }
            }
        }
    }
}
