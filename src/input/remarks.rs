//! What is to be said of the lines of a file besides how many there are.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{Kind, Line, Refusal};

/// So many places are named one by one; the rest is counted.
const NAMED: usize = 20;

/// What is to be said of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remark {
    line: u64,
    refusal: Option<Refusal>,
    /// Lines of its own that stand inside quotes, of a line that is not refused.
    inside_quotes: u64,
    marked: bool,
}

impl Line {
    /// What is to be said of it; `None` for most.
    #[must_use]
    pub const fn remark(&self) -> Option<Remark> {
        let Self { number, last_line, marked, kind } = self;
        let refusal = match kind {
            Kind::Refused(refusal) => Some(*refusal),
            Kind::Job(_) | Kind::Duplicate => None,
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
    /// The line that it is about.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }
}

/// What is to be said of all lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Remarks {
    /// Refused lines by the kind of their refusal.
    refused_by_kind: BTreeMap<&'static str, u64>,
    /// Lines behind a stray quote, which were not read as jobs.
    swallowed_lines: u64,
    /// Lines inside sound quotes, which belong to the job of the line before.
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
    /// One more.
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

    /// A sentence for the log about records that run over several lines; `None` if there are none. The
    /// lines inside them are no jobs, which is wrong where a stray quote joined them.
    #[must_use]
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

    /// Refused lines by the kind of their refusal; those that do not occur are left out.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.refused_by_kind.iter().map(|(label, count)| (*label, *count))
    }
}

/// A sentence a line, on what a person might overlook; nothing where there is nothing to say.
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

/// Keeps the line if it is among the first.
fn name(lines: &mut Vec<u64>, line: u64) {
    if lines.len() < NAMED {
        lines.push(line);
    }
}

/// The first lines, and how many more there are.
fn named(first: &[u64], all: u64) -> String {
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

    fn line(number: u64, last_line: u64, marked: bool, kind: Kind) -> Line {
        Line { number, last_line, marked, kind }
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_counted_and_placed() {
        assert_eq!(line(1, 1, false, Kind::Duplicate).remark(), None);
        let swallowed = Refusal::Swallowed { opened: 7, last_line: 99 };
        let lines = [
            line(2, 4, false, Kind::Duplicate),
            line(5, 5, false, Kind::Refused(Refusal::Quoted)),
            line(6, 6, true, Kind::Refused(Refusal::Surrounded("a space"))),
            line(7, 99, false, Kind::Refused(swallowed)),
            line(100, 100, true, Kind::Duplicate),
        ];
        let mut remarks = Remarks::default();
        assert_eq!(remarks.to_string(), "");
        for remark in lines.iter().filter_map(Line::remark) {
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
            let line = line(number, number, true, Kind::Duplicate);
            remarks.add(line.remark().unwrap());
        }
        assert!(remarks.to_string().ends_with(", 20 and 2 more\n"), "{remarks}");
        assert_eq!(remarks.warning(), None);
    }
}
