//! The formats, told apart by a file's name.

use std::{fmt, path::Path, str::FromStr};

use thiserror::Error;

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values: a header row, then one job a record (RFC 4180).
    Csv,
    /// One token a line.
    Text,
}

/// Behind these the name goes on as that of the file inside.
const COMPRESSIONS: [&str; 3] = ["gz", "zst", "zstd"];

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ndjson, Self::Csv, Self::Text];

    /// Its name on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Text => "text",
        }
    }

    /// The format that the extension of a file's name tells, in either case, also in front of one
    /// that tells a compression.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "txt" => Some(Self::Text),
            compression if COMPRESSIONS.contains(&compression) => {
                Self::of(Path::new(path.file_stem()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No format has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected ndjson, csv or text")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format() {
        let cases = [
            ("jobs.ndjson", Some(Format::Ndjson)),
            ("jobs.jsonl", Some(Format::Ndjson)),
            ("dir.csv/jobs.json", Some(Format::Ndjson)),
            ("leak.csv", Some(Format::Csv)),
            ("LEAK.CSV", Some(Format::Csv)),
            ("leak.2026.csv.gz", Some(Format::Csv)),
            ("leak.txt.zst", Some(Format::Text)),
            ("leak.ndjson.zstd", Some(Format::Ndjson)),
            ("leak.gz", None),
            ("leak.tsv", None),
            ("leak", None),
            (".csv", None),
            ("csv", None),
        ];
        for (name, format) in cases {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn a_format_is_read_as_it_is_written() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("tsv".parse::<Format>(), Err(UnknownFormat));
    }
}
