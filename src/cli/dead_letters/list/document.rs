//! A listing as a JSON document that is written while the queue is read: it may be longer than memory.

use serde::Serialize;

use crate::cli::dead_letters::{counts::Counts, failure::Failure, reading::Seen, record::Record};

/// How far a letter is indented.
const INDENT: &str = "    ";

/// What stands behind the letters: it is known when all of them are read.
#[derive(Debug, Serialize)]
struct Tail<'a> {
    #[serde(flatten)]
    seen: Seen,
    matching: u64,
    reasons: &'a Counts,
}

/// The document, as far as it is not printed yet.
#[derive(Debug)]
pub struct Document {
    text: String,
    letters: u64,
}

impl Document {
    /// Begins one about this queue.
    ///
    /// # Errors
    ///
    /// [`Failure::Unprintable`].
    pub fn of(queue: &str) -> Result<Self, Failure> {
        let queue = serde_json::to_string(queue).map_err(Failure::Unprintable)?;
        let text = format!("{{\n  \"queue\": {queue},\n  \"letters\": [");
        Ok(Self { text, letters: 0 })
    }

    /// Adds a letter.
    ///
    /// # Errors
    ///
    /// [`Failure::Unprintable`].
    pub fn add(&mut self, letter: &Record) -> Result<(), Failure> {
        let record = serde_json::to_string_pretty(letter).map_err(Failure::Unprintable)?;
        self.text.push_str(if self.letters == 0 { "\n" } else { ",\n" });
        for (n, line) in record.lines().enumerate() {
            self.text.push_str(if n == 0 { "" } else { "\n" });
            self.text.push_str(INDENT);
            self.text.push_str(line);
        }
        self.letters += 1;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// [`Failure::Unprintable`].
    pub fn end(&mut self, seen: Seen, reasons: &Counts) -> Result<(), Failure> {
        let tail = Tail { seen, matching: reasons.total(), reasons };
        let tail = serde_json::to_string_pretty(&tail).map_err(Failure::Unprintable)?;
        self.text.push_str(if self.letters == 0 { "]," } else { "\n  ]," });
        self.text.push_str(tail.trim_start_matches('{'));
        self.text.push('\n');
        Ok(())
    }

    /// What is to be printed.
    pub const fn text(&mut self) -> &mut String {
        &mut self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::filter::tests::letter;

    #[test]
    fn the_document_reads_as_if_it_had_been_written_at_once() {
        for letters in 0..3_usize {
            let mut document = Document::of("a \"queue\"").unwrap();
            let mut counts = Counts::default();
            let record = Record::from(&letter());
            for _ in 0..letters {
                document.add(&record).unwrap();
                counts.add(letter().reason);
            }
            let seen = Seen { looked_at: 7, held_by_others: 2, other_consumers: 1 };
            document.end(seen, &counts).unwrap();
            let expected = serde_json::json!({
                "queue": "a \"queue\"",
                "letters": vec![&record; letters],
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
