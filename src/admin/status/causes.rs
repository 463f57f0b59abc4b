//! Dead letters since the start, grouped by reason, client and detail.

use maud::{Markup, html};

use super::text;
use crate::{
    domain::grouped,
    metrics::{DeadLetterGroup, Label as _},
};

/// The most groups on the page.
const SHOWN: usize = 12;

/// `is_sweep` says whether the failed jobs are lines of a file. They become no dead letters then.
pub fn render(groups: &[DeadLetterGroup], is_sweep: bool) -> Markup {
    let title = if is_sweep { "Failed lines by cause" } else { "Dead letters by cause" };
    let more: u64 = groups.iter().skip(SHOWN).map(|group| group.count).sum();
    html! {
        section class="wide" {
            h2 { (title) ", since the start" }
            @if groups.is_empty() {
                p class="none" { "None." }
            } @else {
                table {
                    @for group in groups.iter().take(SHOWN) { (row(group)) }
                }
                @if more > 0 { p class="hint" { "and " (grouped(more)) " with other causes" } }
            }
        }
    }
}

fn row(DeadLetterGroup { reason, client, detail, count, ago }: &DeadLetterGroup) -> Markup {
    html! {
        tr {
            th scope="row" {
                code { (reason.value()) }
                @if let Some(client) = client { " · " (client) }
                br;
                span class="hint" { (detail.as_deref().unwrap_or("other details and clients")) }
            }
            td { (grouped(*count)) }
            td class="hint" { "last " (text::duration(*ago)) " ago" }
        }
    }
}
