//! How far it came.

use serde_json::json;

use super::args::Args;
use crate::{
    cli::progress::FileCounts,
    input::{Expired, Remarks},
};

/// What became of the lines so far. Blank lines do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Confirmed by their queue, or valid in a dry run.
    pub enqueued: u64,
    /// Those of them whose token has expired: the worker will not call for them.
    pub expired: u64,
    /// No jobs.
    pub refused: u64,
    /// Dropped: a line before asks for the same.
    pub duplicates: u64,
    /// Before `--from-line`.
    pub skipped: u64,
    /// Every line before this one is dealt with.
    pub next_line: u64,
    /// Whether what was refused is listed in a file.
    pub listed: bool,
    /// What is to be said of the lines besides.
    pub remarks: Remarks,
}

/// The command for the rest of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoOn {
    /// As a shell reads it.
    pub command: String,
    /// Whether the file has to be mended first.
    pub mended: bool,
}

impl Count {
    fn read(&self) -> u64 {
        self.enqueued + self.refused + self.duplicates + self.skipped
    }

    /// The counts for people who watch.
    pub fn state(&self) -> FileCounts {
        let Self { enqueued, refused, duplicates, next_line, .. } = self;
        FileCounts {
            done: *enqueued,
            counts: format!("{enqueued} enqueued, {refused} refused, {duplicates} duplicates"),
            detail: format!("every line before {next_line} is dealt with"),
            position: None,
        }
    }

    /// The summary at the end. `go_on` is the command for the rest, if there is one.
    pub fn report(&self, args: &Args, finished: bool, go_on: Option<&GoOn>) -> String {
        let refused_file = (self.refused > 0 && self.listed).then(|| args.refused_file());
        if args.json {
            let report = json!({
                "lane": args.lane.as_str(),
                "dry_run": args.dry_run,
                "finished": finished,
                "read": self.read(),
                "enqueued": self.enqueued,
                "expired": self.expired,
                "refused": self.refused,
                "duplicates": self.duplicates,
                "skipped": self.skipped,
                "next_line": self.next_line,
                "remarks": self.remarks,
                "go_on": go_on.map(|go_on| &go_on.command),
                "refused_file": refused_file.map(|path| path.display().to_string()),
            });
            return format!("{report}\n");
        }
        let Self { enqueued, refused, duplicates, skipped, next_line, .. } = self;
        let (lane, read) = (args.lane, self.read());
        let what = if args.dry_run { "would be enqueued" } else { "enqueued" };
        let listed = refused_file
            .map_or_else(String::new, |path| format!("refused lines: {}\n", path.display()));
        let rest = go_on.map_or_else(String::new, |GoOn { command, mended }| {
            let how = match (mended, args.reads_stdin()) {
                (true, _) => "mend the rest of the file, and go on with",
                (false, true) => "to go on with the same input:",
                (false, false) => "to go on:",
            };
            format!("every line before {next_line} is dealt with; {how} {command}\n")
        });
        let kinds: Vec<String> =
            self.remarks.refused().map(|(kind, count)| format!("{count} {kind}")).collect();
        let kinds = match kinds.as_slice() {
            [] => String::new(),
            kinds => format!("refused: {}\n", kinds.join(", ")),
        };
        let remarks = &self.remarks;
        let expired = self.expiry().map_or_else(String::new, |expired| format!("{expired}\n"));
        format!(
            "{enqueued} jobs {what} into the {lane} lane\n\
             {read} lines read, {refused} refused, {duplicates} duplicates, {skipped} skipped\n\
             {kinds}{remarks}{listed}{rest}{expired}"
        )
    }

    /// What to say of the expired jobs.
    pub fn expiry(&self) -> Option<Expired> {
        Expired::of(self.expired, self.enqueued)
    }
}
