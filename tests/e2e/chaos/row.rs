//! One row of the published table.

use std::{env, fs, path::Path, thread};

use serde_json::json;

use super::Area;

/// The proof that a fault happened: counts with their names. A count of zero fails the case.
#[derive(Debug, Clone)]
pub struct Evidence(String);

impl Evidence {
    /// A count with its name, such as `12 kills`.
    #[track_caller]
    pub fn of(count: usize, what: &str) -> Self {
        assert!(count > 0, "the fault did not happen: no {what}");
        Self(format!("{count} {what}"))
    }

    /// Adds another count with its name.
    #[must_use]
    #[track_caller]
    pub fn and(self, count: usize, what: &str) -> Self {
        let Self(more) = Self::of(count, what);
        Self(format!("{}, {more}", self.0))
    }
}

/// The result of a case.
#[derive(Debug)]
pub struct Row {
    pub area: Area,
    pub fault: &'static str,
    pub evidence: Evidence,
    pub jobs: usize,
    /// Tokens that the endpoint revoked.
    pub revoked: usize,
    pub dead_letters: usize,
    pub calls: usize,
    /// Calls for a token that already had a verdict.
    pub twice: usize,
    /// The bound of `twice`.
    pub bound: usize,
    /// Deliveries that the broker flagged as redelivered, as counted by the workers that lived.
    pub redelivered: usize,
    pub seconds: f64,
}

impl Row {
    /// Writes the row to the folder `REVOKER_CHAOS_ROWS`, as JSON for programs and as a line of Markdown
    /// for people. The names sort by area.
    pub fn write(&self) {
        let Some(folder) = env::var_os("REVOKER_CHAOS_ROWS") else { return };
        let Evidence(evidence) = &self.evidence;
        let (area, seconds) = (self.area.name(), format!("{:.1}", self.seconds));
        // The tests' runner names the thread after the test, unless there is only one.
        let case = thread::current().name().unwrap_or("main").to_owned();
        let row = json!({
            "area": area, "fault": self.fault, "case": case, "evidence": evidence,
            "jobs": self.jobs, "revoked": self.revoked, "dead_letters": self.dead_letters,
            "calls": self.calls, "calls_twice": self.twice, "bound": self.bound,
            "redelivered": self.redelivered, "seconds": self.seconds,
        });
        let line = format!(
            "| {area} | {} | {evidence} | {} | {} | {} | {} | {} of {} | {} | {seconds} |\n",
            self.fault,
            self.jobs,
            self.revoked,
            self.dead_letters,
            self.calls,
            self.twice,
            self.bound,
            self.redelivered
        );
        let words: String =
            self.fault.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let name = format!("{}-{area}-{words}", self.area as usize);
        let folder = Path::new(&folder);
        fs::write(folder.join(format!("{name}.json")), format!("{row}\n")).expect("the row's file");
        fs::write(folder.join(format!("{name}.md")), line).expect("the row's file");
    }
}

/// A count of zero is no evidence.
#[test]
#[should_panic(expected = "the fault did not happen: no kills")]
fn a_fault_that_did_not_happen_fails_the_case() {
    let _ = Evidence::of(3, "restarts").and(0, "kills");
}
