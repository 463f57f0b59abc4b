//! The counts of `revoker enqueue`, and its summary.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{args::EnqueueArgs, refused::LOGGED};
use crate::{
    cli::{output, progress::FileCounts},
    input::{Remarks, of_expired},
};

/// The outcomes of the lines so far, without blank lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnqueueCounts {
    /// Confirmed by the queue, or valid in a dry run.
    pub enqueued: u64,
    /// Jobs among them whose token has expired: the worker makes no call for them.
    pub expired: u64,
    pub refused: u64,
    /// Dropped: an earlier line asks for the same call.
    pub duplicates: u64,
    /// Before `--from-line`.
    pub skipped: u64,
    /// The line to resume from: every line before it is finished.
    pub next_line: u64,
    /// Whether a file lists the refused lines.
    pub listed: bool,
    pub remarks: Remarks,
}

/// The command for the remaining lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeCommand {
    pub command: String,
    /// Whether the file must be repaired first.
    pub needs_repair: bool,
}

impl EnqueueCounts {
    fn read(&self) -> u64 {
        self.enqueued + self.refused + self.duplicates + self.skipped
    }

    pub fn state(&self) -> FileCounts {
        let Self { enqueued, refused, duplicates, next_line, .. } = self;
        FileCounts {
            done: *enqueued,
            counts: format!("{enqueued} enqueued, {refused} refused, {duplicates} duplicates"),
            detail: format!("every line before {next_line} is finished"),
            position: None,
        }
    }

    /// Returns the summary. `resume` is the command for the remaining lines, if some remain.
    pub fn report(
        &self,
        args: &EnqueueArgs,
        finished: bool,
        resume: Option<&ResumeCommand>,
    ) -> String {
        if args.output.is_json() {
            return output::json(&self.json_report(args, finished, resume));
        }
        let Self { enqueued, refused, duplicates, skipped, next_line, .. } = self;
        let (lane, read) = (args.lane, self.read());
        let what = if args.dry_run { "would be enqueued" } else { "enqueued" };
        let listed = match self.refused_file(args) {
            Some(path) => format!("refused lines: {}\n", path.display()),
            None if args.dry_run && *refused > LOGGED as u64 => {
                format!(
                    "the log names the first {LOGGED} refused lines; --json lists all of them\n"
                )
            }
            None => String::new(),
        };
        let rest = resume.map_or_else(String::new, |ResumeCommand { command, needs_repair }| {
            let how = match (needs_repair, args.input.is_stdin()) {
                (true, _) => "repair the rest of the file, and resume with",
                (false, true) => "to resume with the same input:",
                (false, false) => "to resume:",
            };
            format!("every line before {next_line} is finished; {how} {command}\n")
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

    /// The path of the list of refused lines, if there is one.
    fn refused_file(&self, args: &EnqueueArgs) -> Option<PathBuf> {
        (self.refused > 0 && self.listed).then(|| args.refused_file())
    }

    /// Returns the summary as an object.
    pub fn json_report(
        &self,
        args: &EnqueueArgs,
        finished: bool,
        resume: Option<&ResumeCommand>,
    ) -> Value {
        json!({
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
            "go_on": resume.map(|resume| &resume.command),
            "refused_file": self.refused_file(args).map(|path| path.display().to_string()),
        })
    }

    pub fn expiry(&self) -> Option<String> {
        of_expired(self.expired, self.enqueued)
    }
}
