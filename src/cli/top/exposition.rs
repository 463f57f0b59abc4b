//! A small parser of Prometheus' text format, for the metrics of a worker.
//!
//! The crates for this format keep every series, or need a parser of regular expressions. This one keeps the worker's
//! own series, up to a limit, and refuses a text that it cannot read.

use std::collections::BTreeMap;

use thiserror::Error;

/// The prefix of a worker's own metrics. Others, like those of the process, are skipped.
const PREFIX: &str = "revoker_";

/// The most series that are kept: several times those of a worker.
const MAX_SERIES: usize = 5_000;

#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum ExpositionError {
    #[error("line {0} is not in Prometheus' text format")]
    Line(usize),
    #[error("more than {MAX_SERIES} series")]
    TooMany,
}

/// One series: its labels and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Series {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|(label, _)| label == name);
        label.map(|(_, value)| value.as_str())
    }
}

/// The worker's own series by name, without the prefix.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Exposition(BTreeMap<String, Vec<Series>>);

impl Exposition {
    /// Parses a page of `/metrics`.
    pub(super) fn parse(text: &str) -> Result<Self, ExpositionError> {
        let (mut all, mut count) = (BTreeMap::<String, Vec<Series>>::new(), 0);
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, series) = series(line).ok_or(ExpositionError::Line(number + 1))?;
            let Some(name) = name.strip_prefix(PREFIX) else { continue };
            count += 1;
            if count > MAX_SERIES {
                return Err(ExpositionError::TooMany);
            }
            all.entry(name.to_owned()).or_default().push(series);
        }
        Ok(Self(all))
    }

    pub(super) fn series(&self, name: &str) -> &[Series] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a metric without labels.
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.series(name).first().map(|series| series.value)
    }

    /// The sums of a metric's series by the value of a label.
    pub(super) fn sums(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for series in self.series(name) {
            if let Some(of) = series.label(label) {
                *sums.entry(of.to_owned()).or_default() += series.value;
            }
        }
        sums
    }
}

/// Parses `name{label="value",…} value [timestamp]`.
fn series(line: &str) -> Option<(&str, Series)> {
    let (name, rest) = line.split_at(line.find(|c: char| c == '{' || c.is_whitespace())?);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next()?.parse().ok()?;
    // A timestamp may follow.
    let timestamp_is_sound = words.next().is_none_or(|word| word.parse::<i64>().is_ok());
    (timestamp_is_sound && words.next().is_none()).then_some((name, Series { labels, value }))
}

/// Parses the labels up to the closing brace. Returns them and the rest of the line.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = quoted_value(quoted)?;
        labels.push((name.trim().to_owned(), value));
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
}

/// Parses a label's value up to its closing quote. Returns it and the rest of the line.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let (mut value, mut letters) = (String::new(), text.char_indices());
    while let Some((at, c)) = letters.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other @ ('\\' | '"') => other,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::Lane,
        metrics::{Build, Metrics, Processed},
    };

    #[test]
    fn the_series_of_a_page_are_read() {
        let page = "# HELP revoker_a Words.\n# TYPE revoker_a counter\n\
                    revoker_a{lane=\"bulk\",outcome=\"revoked\"} 3\n\
                    revoker_a{lane=\"interactive\",outcome=\"revoked\",} 4 1700000000\n\
                    revoker_a{ lane=\"bulk\" , outcome=\"x\\\"\\\\\\n}, y=\\\"\" } 1e3\n\n\
                    process_b 7\nrevoker_c +Inf\r\nrevoker_d NaN\n";
        let page = Exposition::parse(page).unwrap();
        assert_eq!(
            page.sums("a", "lane"),
            [("bulk".to_owned(), 1003.0), ("interactive".to_owned(), 4.0)].into()
        );
        assert_eq!(page.series("a")[2].label("outcome"), Some("x\"\\\n}, y=\""));
        assert_eq!(page.value("c"), Some(f64::INFINITY));
        assert!(page.value("d").unwrap().is_nan());
        assert_eq!((page.value("b"), page.value("e")), (None, None));
    }

    #[test]
    fn a_text_of_another_kind_is_refused_with_its_line() {
        for line in [
            "<html>",
            "revoker_a",
            "revoker_a x",
            "revoker_a{ 1",
            "revoker_a{b} 1",
            "revoker_a{b=\"c} 1",
            "revoker_a{b=\"c\"d=\"e\"} 1",
            "revoker_a{b=\"\\x\"} 1",
            "revoker_a 1 2 3",
            "revoker_a 1 soon",
            "{a=\"b\"} 1",
        ] {
            let page = format!("revoker_fine 1\n{line}\n");
            assert_eq!(Exposition::parse(&page), Err(ExpositionError::Line(2)), "{line}");
        }
        let many = "revoker_a 1\n".repeat(MAX_SERIES + 1);
        assert_eq!(Exposition::parse(&many), Err(ExpositionError::TooMany));
    }

    /// The parser reads what the worker writes.
    #[test]
    fn a_worker_s_own_page_is_read() {
        let metrics = Metrics::new(Build { version: "1", revision: "r" }).unwrap();
        metrics.processed(Lane::Bulk, Processed::Revoked);
        let page = Exposition::parse(&metrics.render().unwrap()).unwrap();
        let lanes = [("bulk".to_owned(), 1.0), ("interactive".to_owned(), 0.0)].into();
        assert_eq!(page.sums("revocations_processed_total", "lane"), lanes);
        assert_eq!(page.value("concurrency_limit"), Some(0.0));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(revoker_[a-z]{1,3}(\\{[a-z=\",\\\\}]{0,12})? ?[0-9]{0,2}\n|\\PC{0,20}\n){0,6}") {
            let _ = Exposition::parse(&text);
        }
    }
}
