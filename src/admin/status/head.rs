//! The process behind the page: where it runs, what it calls, and how far a sweep is.

use maud::{Markup, html};

use super::text;
use crate::{admin::subject::Subject, domain::grouped, ports::SweepShare};

pub fn render(subject: &Subject, instance: &str) -> Markup {
    let facts = [
        ("Host", format!("{}, process {}", subject.host, subject.process)),
        ("Instance", instance.to_owned()),
        ("Endpoint", subject.endpoint.clone()),
        ("Profile", subject.profile.clone()),
        ("Running for", text::duration(subject.started.elapsed())),
    ];
    html! {
        @if let Some(sweep) = &subject.sweep {
            p class="sweep" { (progress(&sweep())) }
        }
        dl class="facts" {
            @for (name, value) in facts {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// As in `Sweep: 42 % of the file, 1,200 lines ended, about 12 min left.`
fn progress(SweepShare { ended, share, left }: &SweepShare) -> String {
    let share =
        share.map_or_else(String::new, |share| format!("{:.0} % of the file, ", share * 100.0));
    let left =
        left.map_or_else(String::new, |left| format!(", about {} left", text::duration(left)));
    format!("Sweep: {share}{} lines ended{left}.", grouped(*ended))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_sweep_tells_its_share_and_the_time_left_once_they_are_known() {
        let minutes = Some(Duration::from_secs(720));
        let share = SweepShare { ended: 1_200, share: Some(0.42), left: minutes };
        assert_eq!(
            progress(&share),
            "Sweep: 42 % of the file, 1,200 lines ended, about 12 min left."
        );
        let piped = SweepShare { ended: 7, share: None, left: None };
        assert_eq!(progress(&piped), "Sweep: 7 lines ended.");
    }
}
