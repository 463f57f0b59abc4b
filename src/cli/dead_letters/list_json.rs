//! A list as JSON that is written while the queue is read: it may be larger than memory.

use serde::Serialize;

use super::{letter_json::LetterJson, reasons::ReasonCounts};
use crate::broker::BrowseSummary;

const INDENT: &str = "    ";

/// The end of the document, known when the whole queue is read.
#[derive(Serialize)]
struct JsonTail<'a> {
    #[serde(flatten)]
    browse: BrowseSummary,
    matching: u64,
    reasons: &'a ReasonCounts,
}

/// The document, as far as it is not printed yet.
#[derive(Debug)]
pub(super) struct JsonList {
    pub(super) text: String,
    is_empty: bool,
}

impl JsonList {
    pub(super) fn new(queue: &str) -> serde_json::Result<Self> {
        let queue = serde_json::to_string(queue)?;
        let text = format!("{{\n  \"queue\": {queue},\n  \"letters\": [");
        Ok(Self { text, is_empty: true })
    }

    pub(super) fn add(&mut self, letter: LetterJson<'_>) -> serde_json::Result<()> {
        let letter = serde_json::to_string_pretty(&letter)?;
        self.text.push_str(if self.is_empty { "\n" } else { ",\n" });
        for (n, line) in letter.lines().enumerate() {
            self.text.push_str(if n == 0 { "" } else { "\n" });
            self.text.push_str(INDENT);
            self.text.push_str(line);
        }
        self.is_empty = false;
        Ok(())
    }

    pub(super) fn end(
        &mut self,
        browse: BrowseSummary,
        reasons: &ReasonCounts,
    ) -> serde_json::Result<()> {
        let tail = JsonTail { browse, matching: reasons.total(), reasons };
        let tail = serde_json::to_string_pretty(&tail)?;
        self.text.push_str(if self.is_empty { "]," } else { "\n  ]," });
        self.text.push_str(tail.trim_start_matches('{'));
        self.text.push('\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::testing::letter;

    #[test]
    fn the_document_reads_as_if_it_had_been_written_at_once() {
        for letters in 0..3_usize {
            let mut document = JsonList::new("a \"queue\"").unwrap();
            let mut counts = ReasonCounts::default();
            let letter = letter();
            for _ in 0..letters {
                document.add(LetterJson(&letter)).unwrap();
                counts.add(letter.reason);
            }
            let seen = BrowseSummary { looked_at: 7, held_by_others: 2, other_consumers: 1 };
            document.end(seen, &counts).unwrap();
            let expected = serde_json::json!({
                "queue": "a \"queue\"",
                "letters": vec![LetterJson(&letter); letters],
                "looked_at": 7,
                "held_by_others": 2,
                "other_consumers": 1,
                "matching": letters,
                "reasons": counts,
            });
            let written: serde_json::Value = serde_json::from_str(&document.text).unwrap();
            assert_eq!(written, expected);
            let head = "{\n  \"queue\": \"a \\\"queue\\\"\",\n  \"letters\": [";
            let body = if letters == 0 { "],\n" } else { "\n    {\n      \"id\": \"logout-7\",\n" };
            assert!(document.text.starts_with(&format!("{head}{body}")), "{}", document.text);
            assert!(document.text.ends_with("\n  }\n}\n"), "{}", document.text);
        }
    }
}
