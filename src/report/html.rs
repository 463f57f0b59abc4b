//! A report as one page: no script, nothing to load, readable on paper, on a phone, light or dark.
//!
//! maud escapes every text. The policy in the head forbids scripts and requests, should a text ever pass it.

use std::time::{Duration, SystemTime};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    document::{Document, Row, Table, Tone},
    origin::Origin,
    timeline::{Step, Timeline},
};
use crate::domain::{grouped, rfc3339};

const STYLE: &str = include_str!("style.css");

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The height of the chart in its own units. Each step is one unit wide.
const HEIGHT: f64 = 24.0;

/// The smallest bar that can be seen.
const LEAST: f64 = 0.4;

/// Returns the whole page.
pub fn page(document: &Document<'_>) -> String {
    let Document { subject, tone, sentence, tiles, timeline, tables, facts, notes, origin } =
        document;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "Revoker " (origin.version) };
                title { "Revocation report: " (subject) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p class="kind" { "Revocation report" }
                    h1 { (subject) }
                    p class={ "state " (class(*tone)) } { (sentence) }
                }
                main {
                    dl class="tiles" {
                        @for Row { label, count: number, hint } in tiles {
                            div {
                                dt { (label) }
                                dd { (grouped(*number)) }
                                @if let Some(hint) = hint { dd class="hint" { (hint) } }
                            }
                        }
                    }
                    (chart(timeline))
                    @for table in tables { (section(table)) }
                    section {
                        h2 { "Particulars" }
                        dl class="facts" {
                            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
                        }
                    }
                    @if !notes.is_empty() {
                        section {
                            h2 { "Notes" }
                            ul { @for note in notes { li { (note) } } }
                        }
                    }
                }
                (footer(origin))
            }
        }
    };
    page.into_string()
}

const fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Well => "well",
        Tone::Open => "open",
        Tone::Unfinished => "unfinished",
    }
}

fn section(Table { title, about, rows }: &Table) -> Markup {
    html! {
        section {
            h2 { (title) }
            @if let Some(about) = about { p class="hint" { (about) } }
            table {
                @for Row { label, count: number, hint } in rows {
                    tr class=[(*number == 0).then_some("none")] {
                        th scope="row" {
                            (label)
                            @if let Some(hint) = hint { span class="hint" { (hint) } }
                        }
                        td { (grouped(*number)) }
                    }
                }
            }
        }
    }
}

fn chart(timeline: &Timeline) -> Markup {
    let Some((first, last)) = timeline.span() else { return html! {} };
    let steps = timeline.steps();
    let all = |step: &Step| step.done + step.failed;
    let highest = steps.iter().map(all).max().unwrap_or(1).max(1);
    let bars: String = steps.iter().enumerate().map(|(at, step)| bar(at, *step, highest)).collect();
    let step = humantime::format_duration(timeline.step());
    html! {
        section class="timeline" {
            h2 { "When they ended" }
            figure {
                figcaption {
                    span class="key done" { "done" } " " span class="key failed" { "failed" }
                    " · a bar is " (step) ", the highest " (grouped(highest))
                }
                svg viewBox={ "0 0 " (steps.len()) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                    aria-label={ "Jobs that ended, from " (shown(first)) " to " (shown(last)) } {
                    (PreEscaped(bars))
                }
                p class="ends" { span { (shown(first)) } span { (shown(last)) } }
            }
        }
    }
}

/// The two parts of a bar. It holds numbers alone.
fn bar(at: usize, step: Step, highest: u64) -> String {
    let (done, failed) = (height(step.done, highest), height(step.failed, highest));
    let part = |class: &str, top: f64, height: f64| match height {
        height if height > 0.0 => format!(
            "<rect class=\"{class}\" x=\"{at}.1\" y=\"{top:.2}\" width=\"0.8\" height=\"{height:.2}\"/>"
        ),
        _ => String::new(),
    };
    part("done", HEIGHT - done, done) + &part("failed", (HEIGHT - done - failed).max(0.0), failed)
}

#[allow(clippy::cast_precision_loss, reason = "for a picture")]
fn height(count: u64, highest: u64) -> f64 {
    match count {
        0 => 0.0,
        count => (HEIGHT * count as f64 / highest as f64).max(LEAST),
    }
}

fn footer(Origin { made_at, host, version, signed_by }: &Origin) -> Markup {
    html! {
        footer {
            p { "Made by Revoker " (version) " on " (host) ", " (shown(*made_at)) ". It holds no token." }
            p {
                @match signed_by {
                    None => "This report is not signed.",
                    Some(key) => {
                        "A signature is in the file beside this one, with the ending .sig. The key: "
                        span class="id" { (key) } ". To check it: "
                        code { "revoker report verify REPORT --key PUBLIC.pem" }
                    }
                }
            }
        }
    }
}

/// A time for people: `2026-03-01 12:00:00 UTC`.
fn shown(time: SystemTime) -> String {
    let text = rfc3339(time).unwrap_or_else(|| "an unknown time".to_owned());
    text.replacen('T', " ", 1).replacen('Z', " UTC", 1)
}

/// The time between two moments, in whole seconds, for a person.
pub fn span(first: SystemTime, last: SystemTime) -> String {
    let took = last.duration_since(first).unwrap_or_default();
    humantime::format_duration(Duration::from_secs(took.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::new(SystemTime::UNIX_EPOCH, "<host>".to_owned(), None)
    }

    fn rendered(timeline: &Timeline) -> String {
        let origin = origin();
        page(&Document {
            subject: "<script>alert(1)</script>.csv".to_owned(),
            tone: Tone::Open,
            sentence: "\"quoted\" & <b>bold</b>".to_owned(),
            tiles: vec![Row::new("Jobs", 1_234)],
            timeline,
            tables: vec![Table { title: "Outcomes", about: None, rows: vec![Row::new("<i>", 0)] }],
            facts: vec![("Endpoint", "https://e/?a=<b>\" onload=\"x".to_owned())],
            notes: vec!["<img alt>".to_owned()],
            origin: &origin,
        })
    }

    /// Foreign texts are shown as texts, and nothing is loaded or run.
    #[test]
    fn every_text_is_escaped_and_nothing_is_loaded() {
        let mut timeline = Timeline::new();
        for second in 0..500 {
            timeline.add(SystemTime::UNIX_EPOCH + Duration::from_secs(second), second % 3 == 0);
        }
        let page = rendered(&timeline);
        for forbidden in [
            "<script",
            "<img",
            "<b>",
            "<i>",
            "src=",
            "href=",
            "url(",
            "@import",
            "onload=\"",
            "<host>",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for expected in
            ["&lt;script&gt;alert(1)&lt;/script&gt;", "1,234", "<svg", "1970-01-01 00:08:19 UTC"]
        {
            assert!(page.contains(expected), "no {expected} in {page}");
        }
        assert!(page.matches("http").count() <= 3, "only the policy's attribute and the endpoint");
    }

    #[test]
    fn a_report_without_jobs_has_no_chart() {
        assert!(!rendered(&Timeline::new()).contains("<svg"));
    }

    #[test]
    fn the_smallest_count_is_visible_and_the_highest_fits() {
        let parts = bar(3, Step { done: 1_000_000, failed: 1 }, 1_000_001);
        assert!(parts.contains("height=\"24.00\"") && parts.contains("height=\"0.40\""), "{parts}");
        assert_eq!(bar(0, Step::default(), 5), "");
    }
}
