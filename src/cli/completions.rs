//! `revoker completions`: the script with which a shell completes this command line.

use clap_complete::{Shell, generate};

use super::{Exit, output};

/// Print the script with which a shell completes commands and options
///
/// Packages install it. Without a package, the shell's own configuration can load it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
                        source <(revoker completions bash)\n  \
                        revoker completions zsh > ~/.zfunc/_revoker\n  \
                        revoker completions fish > ~/.config/fish/completions/revoker.fish")]
pub(super) struct CompletionsArgs {
    shell: Shell,
}

/// Prints the script for `command`, the whole command line.
pub(super) fn run(args: &CompletionsArgs, mut command: clap::Command) -> Exit {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    output::exit_code(output::print(&String::from_utf8_lossy(&script)), Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    /// The words that a real bash offers for the last of `words`.
    fn offered(words: &[&str]) -> Vec<String> {
        let mut script = Vec::new();
        generate(Shell::Bash, &mut Cli::command(), "revoker", &mut script);
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let script = format!(
            "{}\nCOMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1))\n\
             complete -p revoker >/dev/null || exit 9\n\
             _revoker revoker '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            String::from_utf8(script).unwrap()
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &script, "bash"]).args(words).stdin(Stdio::null());
        let out = bash.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_real_bash_completes_commands_options_and_values() {
        assert_eq!(offered(&["revoker", "dead"]), ["dead-letters"]);
        assert_eq!(offered(&["revoker", "dead-letters", "rep"]), ["replay"]);
        let options = offered(&["revoker", "dead-letters", "replay", "--"]);
        for option in ["--include-rejected", "--since", "--config", "--color"] {
            assert!(options.iter().any(|offered| offered == option), "{option}: {options:?}");
        }
        assert_eq!(offered(&["revoker", "dead-letters", "list", "--lane", "b"]), ["bulk"]);
        assert_eq!(offered(&["revoker", "completions", "z"]), ["zsh"]);
        let all = offered(&["revoker", ""]);
        for command in Cli::command().get_subcommands() {
            assert!(all.iter().any(|offered| offered == command.get_name()), "{all:?}");
        }
    }
}
