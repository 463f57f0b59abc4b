//! This sweep's own command line, as it is typed once more.

use std::env;

use crate::worker::shell_command;

/// The command line of this process with more options, quoted for a shell.
pub(super) fn again(options: &[&str]) -> String {
    with(env::args_os().map(|word| word.to_string_lossy().into_owned()), options)
}

fn with(words: impl IntoIterator<Item = String>, options: &[&str]) -> String {
    let mut words: Vec<String> = words.into_iter().collect();
    if let Some(program) = words.first_mut() {
        "revoker".clone_into(program);
    }
    // The subcommand, and no configuration file of that name.
    let subcommand = (1..words.len()).find(|n| words[*n] == "sweep" && words[n - 1] != "--config");
    let place = subcommand.map_or(words.len(), |n| n + 1);
    let missing = options.iter().rev().filter(|option| !words.iter().any(|word| word == *option));
    for option in missing.map(|option| (*option).to_owned()).collect::<Vec<_>>() {
        words.insert(place, option);
    }
    shell_command(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_put_behind_the_subcommand_once() {
        for (line, expected) in [
            ("/usr/bin/revoker sweep leak.csv", "revoker sweep --force --retry-failed leak.csv"),
            (
                "r --config sweep sweep -- a",
                "revoker --config sweep sweep --force --retry-failed -- a",
            ),
            ("r sweep --retry-failed a", "revoker sweep --force --retry-failed a"),
        ] {
            let words = line.split(' ').map(str::to_owned);
            assert_eq!(with(words, &["--force", "--retry-failed"]), expected);
        }
        let words = ["revoker", "sweep", "my leak.csv"].map(str::to_owned);
        assert_eq!(with(words, &[]), "revoker sweep 'my leak.csv'");
    }
}
