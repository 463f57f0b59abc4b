//! Notes on unusual lines, besides their counts.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{InputLine, LineKind, Refusal};

/// The maximum number of lines in a note.
const NAMED: usize = 20;

/// A note on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remark {
    line: u64,
    refusal: Option<Refusal>,
    /// The number of its lines inside quotes, unless it is refused.
    inside_quotes: u64,
    marked: bool,
}

impl InputLine {
    /// Returns the note on a line; `None` for most lines.
    pub const fn remark(&self) -> Option<Remark> {
        let Self { number, last_line, marked, kind } = self;
        let refusal = match kind {
            LineKind::Refused(refusal) => Some(*refusal),
            LineKind::Job(_) | LineKind::Duplicate(_) => None,
        };
        let inside_quotes = match refusal {
            None => last_line.saturating_sub(*number),
            Some(_) => 0,
        };
        if refusal.is_none() && inside_quotes == 0 && !*marked {
            return None;
        }
        Some(Remark { line: *number, refusal, inside_quotes, marked: *marked })
    }
}

impl Remark {
    pub const fn line(&self) -> u64 {
        self.line
    }
}

/// The notes on all lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Remarks {
    refused_by_kind: BTreeMap<&'static str, u64>,
    /// Lines after a stray quote, which were not read as jobs.
    swallowed_lines: u64,
    /// Lines inside proper quotes, which belong to the job of the line before.
    lines_inside_quotes: u64,
    /// Records over several lines that are not refused.
    records_over_lines: u64,
    /// The first of them.
    spanning_lines: Vec<u64>,
    /// Byte order marks in front of lines, which were left out.
    byte_order_marks: u64,
    /// The first of those lines.
    marked_lines: Vec<u64>,
}

impl Remarks {
    pub fn add(&mut self, remark: Remark) {
        let Remark { line, refusal, inside_quotes, marked } = remark;
        if let Some(refusal) = refusal {
            *self.refused_by_kind.entry(refusal.label()).or_default() += 1;
            self.swallowed_lines += refusal.swallowed();
        }
        if inside_quotes > 0 {
            self.lines_inside_quotes += inside_quotes;
            self.records_over_lines += 1;
            name(&mut self.spanning_lines, line);
        }
        if marked {
            self.byte_order_marks += 1;
            name(&mut self.marked_lines, line);
        }
    }

    /// Returns a log message on records over several lines; `None` without any. If a stray quote joined the
    /// lines, jobs are missing.
    pub fn warning(&self) -> Option<String> {
        let (lines, records) = (self.lines_inside_quotes, self.records_over_lines);
        (records > 0).then(|| {
            format!(
                "{records} records run over several lines, so {lines} lines inside quotes are not read as \
                 jobs; check that no stray quote joined them: line {}",
                named(&self.spanning_lines, records)
            )
        })
    }

    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.refused_by_kind.iter().map(|(label, count)| (*label, *count))
    }
}

/// Writes one sentence per line about facts that a reader might overlook.
impl fmt::Display for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (swallowed, quoted) = (self.swallowed_lines, self.lines_inside_quotes);
        if swallowed > 0 {
            writeln!(f, "lines behind a stray quote, none of them read as a job: {swallowed}")?;
        }
        if quoted > 0 {
            let records = named(&self.spanning_lines, self.records_over_lines);
            writeln!(
                f,
                "lines inside quotes, part of the record before them: {quoted}, behind line {records}"
            )?;
        }
        if self.byte_order_marks > 0 {
            let lines = named(&self.marked_lines, self.byte_order_marks);
            writeln!(
                f,
                "byte order marks left out, so files seem to be joined there: line {lines}"
            )?;
        }
        Ok(())
    }
}

fn name(lines: &mut Vec<u64>, line: u64) {
    if lines.len() < NAMED {
        lines.push(line);
    }
}

/// Lists the first lines, and the number of the others.
pub fn named(first: &[u64], all: u64) -> String {
    let lines: Vec<String> = first.iter().map(u64::to_string).collect();
    let lines = lines.join(", ");
    match all.saturating_sub(first.len() as u64) {
        0 => lines,
        more => format!("{lines} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Job, JobDefaults};

    fn line(number: u64, last_line: u64, marked: bool, kind: LineKind) -> InputLine {
        InputLine { number, last_line, marked, kind }
    }

    fn duplicate() -> LineKind {
        let job = Job::parse(br#"{"refresh_token":"t"}"#, &JobDefaults::default());
        LineKind::Duplicate(job.unwrap())
    }

    #[test]
    fn unusual_lines_are_counted_and_located() {
        assert_eq!(line(1, 1, false, duplicate()).remark(), None);
        let swallowed = Refusal::Swallowed { opened: 7, last_line: 99 };
        let lines = [
            line(2, 4, false, duplicate()),
            line(5, 5, false, LineKind::Refused(Refusal::Quoted)),
            line(6, 6, true, LineKind::Refused(Refusal::Surrounded("a space"))),
            line(7, 99, false, LineKind::Refused(swallowed)),
            line(100, 100, true, duplicate()),
        ];
        let mut remarks = Remarks::default();
        assert_eq!(remarks.to_string(), "");
        for remark in lines.iter().filter_map(InputLine::remark) {
            remarks.add(remark);
        }
        let refused: Vec<_> = remarks.refused().collect();
        assert_eq!(refused, [("odd_token", 2), ("stray_quote", 1)]);
        assert_eq!(
            remarks.to_string(),
            "lines behind a stray quote, none of them read as a job: 92\n\
             lines inside quotes, part of the record before them: 2, behind line 2\n\
             byte order marks left out, so files seem to be joined there: line 6, 100\n"
        );
        let warning = remarks.warning().unwrap();
        assert!(warning.starts_with("1 records run over several lines, so 2 lines"), "{warning}");
        assert!(warning.ends_with(": line 2"), "{warning}");
    }

    #[test]
    fn places_are_named_up_to_a_bound() {
        let mut remarks = Remarks::default();
        for number in 1..=NAMED as u64 + 2 {
            let line = line(number, number, true, duplicate());
            remarks.add(line.remark().unwrap());
        }
        assert!(remarks.to_string().ends_with(", 20 and 2 more\n"), "{remarks}");
        assert_eq!(remarks.warning(), None);
    }
}
