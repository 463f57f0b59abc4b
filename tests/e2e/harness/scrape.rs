//! One scrape of `/metrics`, parsed.

use std::collections::BTreeMap;

/// The samples of one scrape.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// The page as it came.
    pub text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads the text exposition format.
    pub fn parse(text: String) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a series and its value");
                (canonical(series), value.parse().expect("a number"))
            })
            .collect();
        Self { text, samples }
    }

    /// The value of `revoker_<series>`, without a fraction, written as `name{label="value"}` with
    /// the labels in alphabetical order. It must exist.
    #[track_caller]
    pub fn value(&self, series: &str) -> usize {
        let value = self.samples.get(&format!("revoker_{series}"));
        whole(*value.unwrap_or_else(|| panic!("no series revoker_{series} in\n{}", self.text)))
    }

    /// The series that are not zero, for the report of a hang.
    pub fn summary(&self) -> String {
        let ours = self.samples.iter().filter(|(name, _)| name.starts_with("revoker_"));
        let told = ours.filter(|(name, value)| **value != 0.0 && !name.contains("_bucket"));
        told.map(|(name, value)| format!("\n{name} {value}")).collect::<Vec<_>>().concat()
    }

    /// All series of ours.
    pub fn names(&self) -> Vec<&str> {
        let names = self.samples.keys().map(String::as_str);
        names.filter(|name| name.starts_with("revoker_")).collect()
    }

    /// The sum over all series of a name.
    pub fn sum(&self, name: &str) -> usize {
        let name = format!("revoker_{name}");
        let samples = self.samples.iter();
        let of_name = samples.filter(|(series, _)| series.split('{').next() == Some(name.as_str()));
        of_name.map(|(_, value)| whole(*value)).sum()
    }

    /// The sum of `revocations_processed_total` with this outcome over both lanes.
    pub fn processed(&self, outcome: &str) -> usize {
        ["interactive", "bulk"]
            .map(|lane| {
                self.value(&format!(
                    "revocations_processed_total{{lane=\"{lane}\",outcome=\"{outcome}\"}}"
                ))
            })
            .iter()
            .sum()
    }

    /// The number of calls with this result.
    #[track_caller]
    pub fn calls(&self, result: &str) -> usize {
        self.value(&format!("endpoint_calls_total{{result=\"{result}\"}}"))
    }

    /// The number of consuming sessions with this end.
    #[track_caller]
    pub fn sessions(&self, ended_by: &str) -> usize {
        self.value(&format!("broker_sessions_total{{ended_by=\"{ended_by}\"}}"))
    }

    /// The number of publishes to `target` with this outcome.
    #[track_caller]
    pub fn publishes(&self, target: &str, outcome: &str) -> usize {
        self.value(&format!("broker_publishes_total{{outcome=\"{outcome}\",target=\"{target}\"}}"))
    }
}

/// A series with its labels in alphabetical order.
fn canonical(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_owned() };
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

/// A sample as a count. A negative value or NaN counts as 0.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a test are small, and the cast saturates"
)]
fn whole(value: f64) -> usize {
    value as usize
}
