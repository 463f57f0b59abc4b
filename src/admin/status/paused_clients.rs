//! The clients that are paused, each with its cause and the commands that help.

use std::time::SystemTime;

use maud::{Markup, html};

use super::{
    sentence::{moment, next_probe},
    text,
};
use crate::ports::{PausedClient, PausedClients};

pub fn render(PausedClients { named, more }: &PausedClients, now: SystemTime) -> Markup {
    html! {
        @if !named.is_empty() {
            section class="clients" {
                h2 { "Paused clients" }
                @for client in named { (one(client, now)) }
                @if *more > 0 { p class="hint" { "and " (text::count(*more as u64)) " more" } }
            }
        }
    }
}

fn one(client: &PausedClient, now: SystemTime) -> Markup {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_paused_client_is_told_escaped_with_its_commands() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(38_520);
        let client = PausedClient {
            id: "<b>shop</b>".to_owned(),
            reason: "nothing was revoked".to_owned(),
            since: now,
            next_probe: now + Duration::from_secs(12),
            audience: "https://api.example".to_owned(),
            endpoint: "https://auth.example/revoke".to_owned(),
            commands: vec![("Lists it", "revoker dead-letters list".to_owned())],
        };
        let page = render(&PausedClients { named: vec![client], more: 3 }, now).into_string();
        for expected in [
            "<strong>&lt;b&gt;shop&lt;/b&gt;</strong> since 10:42:00 UTC: nothing was revoked, next probe in 12 s.",
            "Audience https://api.example, endpoint https://auth.example/revoke",
            "<pre><code>revoker dead-letters list</code></pre>",
            "and 3 more",
        ] {
            assert!(page.contains(expected), "no {expected:?} in {page}");
        }
        assert_eq!(render(&PausedClients::default(), now).into_string(), "");
    }
}
