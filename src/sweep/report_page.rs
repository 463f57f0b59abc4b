//! The report of a sweep as a page.

use super::{
    journal::InputId,
    report::{Percentiles, RunReport, SweepReport, shown},
};
use crate::{
    domain::{Completion, Reason, grouped, rfc3339},
    input::STDIN,
    report::{Document, Remaining, Row, Table, Tone, proofs, span},
};

impl SweepReport {
    /// The page of this report.
    pub fn document(&self) -> Document<'_> {
        let lines = &self.lines;
        let mut tables = vec![
            Table {
                title: "How the lines ended",
                about: Some("Lines of the file, in all runs."),
                rows: self.outcomes(),
            },
            Table {
                title: "What proves it",
                about: (lines.repeated() > 0)
                    .then_some("Without repeated lines: what proves the line that they repeat proves them too."),
                rows: proofs(lines),
            },
        ];
        let remains = self.remains();
        if !remains.is_empty() {
            let about = Some("The tokens of these lines are not proved dead.");
            tables.push(Table { title: "What remains", about, rows: remains });
        }
        tables.push(Table { title: "This run", about: None, rows: self.run() });
        Document {
            subject: if self.input == STDIN {
                "Standard input".to_owned()
            } else {
                self.input.clone()
            },
            tone: self.tone(),
            sentence: self.sentence(),
            tiles: vec![
                Row::new("Lines that ended", lines.all()),
                Row::new("Proved dead", lines.proved()),
                Row::new("Not proved", self.not_proved()),
                Row::new("Failed", lines.failed()),
            ],
            timeline: &self.timeline,
            tables,
            facts: self.facts(),
            notes: self.notes(),
            origin: &self.origin,
        }
    }

    fn not_proved(&self) -> u64 {
        self.lines.jobs() - self.lines.proved()
    }

    fn tone(&self) -> Tone {
        match (self.finished, self.not_proved()) {
            (false, _) => Tone::Unfinished,
            (true, 0) => Tone::Well,
            (true, _) => Tone::Open,
        }
    }

    fn sentence(&self) -> String {
        let ended = if self.finished {
            "Every line has ended."
        } else {
            "Not finished: some lines have not ended."
        };
        match (self.not_proved(), self.finished) {
            (0, true) => format!("{ended} Every token is proved dead."),
            (open, _) => format!(
                "{ended} Proved dead: {}. Not proved: {}.",
                grouped(self.lines.proved()),
                grouped(open)
            ),
        }
    }

    fn outcomes(&self) -> Vec<Row> {
        let lines = &self.lines;
        let done = Completion::ALL
            .map(|ending| Row::new(ending.as_str().replace('_', " "), lines.ended(ending)));
        let failed = Reason::ALL.map(|reason| {
            let label = format!("failed: {}", reason.as_str().replace('_', " "));
            Row::new(label, lines.failed_for(reason))
        });
        let repeated = Row::new("repeated", lines.repeated())
            .hint("An earlier line asks for the same, and its outcome is that of this line.");
        let rows = done.into_iter().chain([repeated]).chain(failed);
        rows.filter(|row| row.count > 0).collect()
    }

    fn remains(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.not_proved.iter().map(Remaining::row).collect();
        if self.open > 0 {
            rows.push(
                Row::new("taken up, not ended", self.open).hint("A call may have been made."),
            );
        }
        rows
    }

    fn run(&self) -> Vec<Row> {
        let RunReport { calls, retries, results, lines, .. } = &self.this_run;
        let mut rows = vec![
            Row::new("lines that ended in this run", lines.all()),
            Row::new("calls", *calls),
            Row::new("of these retries", *retries),
        ];
        rows.extend(
            results.iter().map(|(result, count)| Row::new(format!("calls: {result}"), *count)),
        );
        rows
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let time = |at| Option::and_then(at, rfc3339);
        let latency = self.this_run.latency.map(|Percentiles { p50, p99, max, .. }| {
            format!("p50 {}, p99 {}, longest {}", shown(p50), shown(p99), shown(max))
        });
        let id = self.id.as_ref();
        let facts = [
            ("Input", Some(self.input.clone())),
            ("SHA-256 of the input", id.map(|InputId { sha256, .. }| sha256.clone())),
            (
                "Size of the input",
                id.map(|InputId { size, .. }| format!("{} bytes", grouped(*size))),
            ),
            ("Journal", Some(self.journal.clone())),
            ("SHA-256 of the journal", Some(self.journal_sha256.clone())),
            ("List of failed lines", self.failed_lines.clone()),
            ("Endpoint", Some(self.endpoint.clone())),
            ("Profile", Some(self.profile.clone())),
            ("First line ended", time(self.first_ended_at)),
            ("Last line ended", time(self.last_ended_at)),
            ("Time between them", self.timeline.span().map(|(first, last)| span(first, last))),
            ("Finished", time(self.finished_at)),
            ("This run started", time(self.this_run.started_at)),
            ("This run ended", time(self.this_run.ended_at)),
            ("A call took", latency),
            ("Signing key", self.origin.signed_by.map(|key| key.to_string())),
        ];
        facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn notes(&self) -> Vec<String> {
        let read = self.read.filter(|_| !self.finished);
        let read = read.map(|read| format!("{:.1} % of the file was read.", read * 100.0));
        let remarks = self.this_run.remarks.to_string();
        let remarks = remarks.lines().map(str::to_owned);
        let goes_on = self.goes_on.map(|hint| hint.to_string());
        read.into_iter().chain(goes_on).chain(self.expiry()).chain(remarks).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::Path,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::{
        report::{End, Origin, ProofCounts, Timeline, page, remaining},
        sweep::{Calls, LineCounts, SweepCounts},
    };

    fn report(ends: &[End], finished: bool) -> SweepReport {
        let mut lines = LineCounts::default();
        let mut timeline = Timeline::new();
        for (second, end) in (0..).zip(ends) {
            lines.add(*end);
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            timeline.add(at, matches!(end, End::Failed(_)));
        }
        let calls = Calls::new().unwrap();
        let counts = SweepCounts { lines_now: lines.clone(), ..SweepCounts::default() };
        let ended = SystemTime::UNIX_EPOCH + Duration::from_secs(90);
        SweepReport {
            input: "leak & more.csv".to_owned(),
            id: Some(InputId { sha256: "ab".repeat(32), size: 12_345 }),
            journal: Path::new("leak.journal").display().to_string(),
            journal_sha256: "cd".repeat(32),
            failed_lines: None,
            endpoint: "https://auth.example/revoke".to_owned(),
            profile: "alignet".to_owned(),
            finished,
            first_ended_at: Some(SystemTime::UNIX_EPOCH),
            last_ended_at: Some(ended),
            finished_at: None,
            proof: ProofCounts::of(&lines),
            not_proved: remaining(&lines),
            lines,
            open: u64::from(!finished) * 3,
            read: Some(0.5),
            goes_on: None,
            this_run: RunReport {
                results: BTreeMap::new(),
                ..RunReport::of(ended, Duration::from_secs(60), &calls, counts)
            },
            timeline,
            origin: Origin::new(SystemTime::UNIX_EPOCH, "host".to_owned(), None),
        }
    }

    #[test]
    fn the_page_says_what_is_proved_and_what_remains() {
        let ends = [
            End::Done(Completion::Revoked),
            End::Verified,
            End::Repeated,
            End::Failed(Reason::Rejected),
            End::Done(Completion::Expired),
        ];
        let html = page(&report(&ends, false).document());
        for part in [
            "leak &amp; more.csv",
            "Not finished: some lines have not ended. Proved dead: 2. Not proved: 2.",
            "What remains",
            "taken up, not ended",
            "50.0 % of the file was read.",
            "12,345 bytes",
            "1970-01-01T00:00:30Z",
        ] {
            assert!(html.contains(part), "no {part} in {html}");
        }
    }

    #[test]
    fn a_sweep_that_proved_everything_has_nothing_left() {
        let report = report(&[End::Done(Completion::Revoked), End::Done(Completion::Gone)], true);
        let document = report.document();
        assert_eq!(document.tone, Tone::Well);
        assert_eq!(document.sentence, "Every line has ended. Every token is proved dead.");
        assert!(!page(&document).contains("What remains"));
        let text = report.to_string();
        assert!(text.contains("  proved dead                                 2\n"), "{text}");
        assert!(text.contains("    of these said                             2\n"), "{text}");
    }

    #[test]
    fn the_numbers_stand_in_one_column_whatever_the_reasons_are() {
        let ends = Reason::ALL.map(End::Failed);
        let text = report(&ends, true).to_string();
        let rows = text.lines().skip(1).take_while(|line| !line.starts_with("  in "));
        let widths: BTreeSet<usize> = rows.map(|row| row.chars().count()).collect();
        assert_eq!(widths.len(), 1, "{text}");
        assert!(text.contains("    of these rejected_after_ambiguity "), "{text}");
    }
}
