//! Parts that `sweep` and `enqueue` share: the options of a file of jobs, its warnings, and the command that resumes.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tracing::warn;

use crate::{
    domain::{JobDefaults, Lane},
    input::{Column, Columns, Delimiter, FieldDefaults, InputFormat, Options, Remarks, STDIN},
    worker::shell_command,
};

/// A file of jobs and how to read it.
#[derive(Debug, clap::Args)]
pub(super) struct JobFileArgs {
    /// The file to read; - for standard input
    #[arg(value_name = "FILE|-", default_value = STDIN)]
    pub(super) file: PathBuf,

    /// The format of the lines: ndjson, csv or text; by default from the file's name, and ndjson for standard input
    #[arg(long)]
    format: Option<InputFormat>,

    /// The column of a CSV file that holds a field, if their names differ: `refresh_token=token`; repeat the option
    /// for more fields
    #[arg(long, value_name = "FIELD=COLUMN")]
    column: Vec<Column>,

    /// The delimiter of a CSV file: comma, semicolon, tab or bar, or the character itself
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<Delimiter>,

    /// The audience for lines without one
    #[arg(long, value_name = "URL")]
    audience: Option<String>,

    /// The client for lines without one
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// The user for lines without one
    #[arg(long, value_name = "NAME")]
    username: Option<String>,

    /// The expiry of the tokens for lines without one: RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
}

impl JobFileArgs {
    pub(super) fn options(&self, defaults: JobDefaults) -> Options {
        Options {
            format: self.format,
            columns: Columns::from(self.column.clone()),
            delimiter: self.delimiter,
            field_defaults: FieldDefaults {
                audience: self.audience.clone(),
                client_id: self.client_id.clone(),
                username: self.username.clone(),
                expires_at: self.expires_at.clone(),
            },
            defaults,
        }
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.file == Path::new(STDIN)
    }
}

/// Parses the name of a lane.
pub(super) fn lane() -> impl TypedValueParser<Value = Lane> {
    let names = PossibleValuesParser::new(Lane::ALL.map(Lane::as_str));
    names.try_map(|name| Lane::from_name(&name).ok_or("no lane has that name"))
}

/// Parses a rate that is at least `least`. The error names the `unit`.
pub(super) fn rate(text: &str, least: f64, unit: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (least..f64::INFINITY).contains(&rate) => Ok(rate),
        _ => Err(format!("expected a number of {unit} per second, like 500")),
    }
}

/// Logs the summary's warnings about lines, because the summary may be read by a script or not at all.
pub(super) fn warn_of_lines(expired: Option<String>, remarks: &Remarks) {
    if let Some(expired) = expired {
        warn!("{expired}");
    }
    if let Some(warning) = remarks.warning() {
        warn!("{warning}");
    }
}

/// An option of the command that resumes, with its value if it takes one.
pub(super) type ResumeOption<'a> = (&'a str, Option<String>);

/// Returns a command line with these options, each of them once, quoted for a shell.
pub(super) fn resume_command(
    arguments: impl IntoIterator<Item = OsString>,
    options: &[ResumeOption<'_>],
) -> String {
    let mut words = Vec::new();
    // Nothing behind `--` is an option.
    let is_end = |argument: &OsStr| argument == "--";
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next_if(|argument| !is_end(argument)) {
        let argument = argument.to_string_lossy();
        let former = options.iter().find(|(name, value)| {
            let rest = argument.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || value.is_some() && rest.starts_with('='))
        });
        match former {
            None => words.push(argument.into_owned()),
            // The former value goes with it.
            Some((name, Some(_))) if argument == *name => drop(arguments.next()),
            Some(_) => {}
        }
    }
    for (name, value) in options {
        words.push((*name).to_owned());
        words.extend(value.clone());
    }
    words.extend(arguments.map(|argument| argument.to_string_lossy().into_owned()));
    shell_command(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resumed(line: &[&str], options: &[ResumeOption<'_>]) -> String {
        resume_command(line.iter().map(OsString::from), options)
    }

    fn from_line(line: &[&str]) -> String {
        resumed(line, &[("--from-line", Some("52001".to_owned()))])
    }

    #[test]
    fn it_is_the_same_command_from_another_line_on() {
        let cases: [(&[&str], &str); 6] = [
            (&["revoker", "enqueue"], "revoker enqueue --from-line 52001"),
            (
                &["./revoker", "--config", "a b.toml", "enqueue", "--lane=bulk", "leak's.csv"],
                r#"./revoker --config 'a b.toml' enqueue '--lane=bulk' "leak's.csv" --from-line 52001"#,
            ),
            (
                &["revoker", "enqueue", "--from-line", "7", "leak.csv"],
                "revoker enqueue leak.csv --from-line 52001",
            ),
            (
                &["revoker", "enqueue", "leak.csv", "--from-line=7", "--username", ""],
                "revoker enqueue leak.csv --username '' --from-line 52001",
            ),
            (
                &["revoker", "enqueue", "--", "--from-line"],
                "revoker enqueue --from-line 52001 -- --from-line",
            ),
            (&["revoker", "enqueue", "-"], "revoker enqueue - --from-line 52001"),
        ];
        for (line, expected) in cases {
            assert_eq!(from_line(line), expected);
        }
    }

    #[test]
    fn options_are_put_in_once() {
        for (line, expected) in [
            ("revoker sweep leak.csv", "revoker sweep leak.csv --force --retry-failed"),
            ("r --config sweep sweep -- a", "r --config sweep sweep --force --retry-failed -- a"),
            ("r sweep --retry-failed a", "r sweep a --force --retry-failed"),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(resumed(&words, &[("--force", None), ("--retry-failed", None)]), expected);
        }
        assert_eq!(
            resumed(&["revoker", "sweep", "my leak.csv"], &[]),
            "revoker sweep 'my leak.csv'"
        );
    }

    /// A shell splits the command into the original arguments.
    #[test]
    fn a_shell_reads_it_back() {
        let words =
            ["revoker", "enqueue", "$HOME `ls` \"x\" 'y' \\ \n*~", "ñ", "~user", "a#b", "!1"];
        let script = from_line(&words).replacen("revoker enqueue", "printf '%s\\0'", 1);
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let read: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let mut expected: Vec<&[u8]> = words[2..].iter().map(|word| word.as_bytes()).collect();
        expected.extend([&b"--from-line"[..], b"52001", b""]);
        assert_eq!(read, expected);
    }

    #[test]
    fn an_invalid_rate_is_refused() {
        for text in ["0", "-1", "inf", "nan", "fast", ""] {
            assert!(rate(text, 0.01, "calls").is_err(), "{text}");
        }
        assert_eq!(rate("0.5", 0.01, "calls"), Ok(0.5));
    }
}
