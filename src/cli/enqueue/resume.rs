//! The command that goes on where this one ended.

use std::ffi::{OsStr, OsString};

/// The option that says where to begin.
const FROM_LINE: &str = "--from-line";

/// Behind this, nothing is an option any more.
const END_OF_OPTIONS: &str = "--";

/// This command line, to begin at `line`, quoted for a shell.
pub fn command(arguments: impl IntoIterator<Item = OsString>, line: u64) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    while arguments.peek().is_some_and(|argument| argument != END_OF_OPTIONS) {
        let Some(argument) = arguments.next() else { break };
        if argument == FROM_LINE {
            // Its value goes with it.
            arguments.next();
        } else if !argument.to_string_lossy().starts_with(&format!("{FROM_LINE}=")) {
            words.push(quoted(&argument));
        }
    }
    words.push(format!("{FROM_LINE} {line}"));
    words.extend(arguments.map(|argument| quoted(&argument)));
    words.join(" ")
}

/// A word that a shell reads as it is meant.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_of(line: &[&str]) -> String {
        command(line.iter().map(OsString::from), 52_001)
    }

    #[test]
    fn it_is_the_same_command_from_another_line_on() {
        let cases: [(&[&str], &str); 6] = [
            (&["revoker", "enqueue"], "revoker enqueue --from-line 52001"),
            (
                &["./revoker", "--config", "a b.toml", "enqueue", "--lane=bulk", "leak's.csv"],
                r"./revoker --config 'a b.toml' enqueue --lane=bulk 'leak'\''s.csv' --from-line 52001",
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
            assert_eq!(command_of(line), expected);
        }
    }

    /// What a shell makes of it is what was given.
    #[test]
    fn a_shell_reads_it_back() {
        let words =
            ["revoker", "enqueue", "$HOME `ls` \"x\" 'y' \\ \n*~", "ñ", "~user", "a#b", "!1"];
        let script = command_of(&words).replacen("revoker enqueue", "printf '%s\\0'", 1);
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let read: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let mut expected: Vec<&[u8]> = words[2..].iter().map(|word| word.as_bytes()).collect();
        expected.extend([&b"--from-line"[..], b"52001", b""]);
        assert_eq!(read, expected);
    }
}
