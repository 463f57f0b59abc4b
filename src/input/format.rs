//! The formats of files.

use std::{path::Path, str::FromStr};

use crate::domain::named;

named! {
    /// The format of a file's lines.
    pub enum InputFormat {
        /// One JSON object a line.
        Ndjson = "ndjson",
        /// A header row, then one job a record (RFC 4180).
        Csv = "csv",
        /// One token a line.
        Text = "text",
    }
}

/// The extensions of compressed files, which follow the format's extension.
const COMPRESSIONS: [&str; 3] = ["gz", "zst", "zstd"];

impl InputFormat {
    /// Returns the format of a file's extension, in any case, also before the extension of a compression.
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

impl FromStr for InputFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        Self::from_name(name).ok_or("expected ndjson, csv or text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_format() {
        let cases = [
            ("jobs.ndjson", Some(InputFormat::Ndjson)),
            ("jobs.jsonl", Some(InputFormat::Ndjson)),
            ("dir.csv/jobs.json", Some(InputFormat::Ndjson)),
            ("leak.csv", Some(InputFormat::Csv)),
            ("LEAK.CSV", Some(InputFormat::Csv)),
            ("leak.2026.csv.gz", Some(InputFormat::Csv)),
            ("leak.txt.zst", Some(InputFormat::Text)),
            ("leak.ndjson.zstd", Some(InputFormat::Ndjson)),
            ("leak.gz", None),
            ("leak.tsv", None),
            ("leak", None),
            (".csv", None),
            ("csv", None),
        ];
        for (name, format) in cases {
            assert_eq!(InputFormat::of(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn a_format_is_read_as_it_is_written() {
        for format in InputFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("tsv".parse::<InputFormat>(), Err("expected ndjson, csv or text"));
    }
}
