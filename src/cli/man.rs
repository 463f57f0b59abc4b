//! `revoker man`: the manual pages, one for each command, made from the help texts.

use std::{fs, io, path::PathBuf};

use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{
    exit::{Exit, Failure},
    fail_with,
};

/// Write the manual pages of all commands into a folder
///
/// Packages contain them. The folder is created if it does not exist, and older pages in it are replaced.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  revoker man ~/.local/share/man/man1 && man revoker-dead-letters-replay"
)]
pub(super) struct ManArgs {
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages of `command`, the whole command line.
pub(super) fn run(args: &ManArgs, command: clap::Command) -> Exit {
    match write_pages(args, command) {
        Ok(()) => Exit::Done,
        Err(error) => fail_with(&Failure::at(args.directory.display(), &error)),
    }
}

fn write_pages(args: &ManArgs, command: clap::Command) -> io::Result<()> {
    fs::create_dir_all(&args.directory)?;
    for (name, page) in pages(command)? {
        fs::write(args.directory.join(name), page)?;
    }
    Ok(())
}

/// The name and the text of each page.
fn pages(command: clap::Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let (mut commands, mut pages) = (vec![command], Vec::new());
    while let Some(command) = commands.pop() {
        commands
            .extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        pages.push(page(command)?);
    }
    Ok(pages)
}

fn page(command: clap::Command) -> io::Result<(String, Vec<u8>)> {
    let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_commands = command.has_subcommands();
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    let man = Man::new(command)
        .title(title)
        .source(concat!("revoker ", env!("CARGO_PKG_VERSION")))
        .manual("Revoker");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_commands {
        man.render_subcommands_section(&mut text)?;
    }
    examples(&example).to_writer(&mut text)?;
    Ok((man.get_filename(), text))
}

/// The section of examples. Its lines stay as they are: a shell reads them.
fn examples(help: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    // The heading says it already, unless it says when the example applies.
    for line in help.lines().filter(|line| !matches!(*line, "Example:" | "Examples:")) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn written() -> Vec<(String, String)> {
        let pages = pages(Cli::command()).unwrap();
        pages.into_iter().map(|(name, page)| (name, String::from_utf8(page).unwrap())).collect()
    }

    fn count(command: &clap::Command) -> usize {
        1 + command.get_subcommands().map(count).sum::<usize>()
    }

    #[test]
    fn each_command_has_a_page_with_its_options_and_examples() {
        let pages = written();
        let page = |wanted: &str| &pages.iter().find(|(name, _)| name == wanted).unwrap().1;
        assert!(page("revoker.1").contains("revoker\\-dead\\-letters(1)"));
        let replay = page("revoker-dead-letters-replay.1");
        for part in [
            "\\-\\-include\\-rejected",
            ".SH EXAMPLES\n.nf\nExample, after a missing client secret was configured:\n",
        ] {
            assert!(replay.contains(part), "{part} is not in {replay}");
        }
        assert_eq!(pages.len(), count(&Cli::command()));
    }

    /// groff, with every warning on, has nothing to say about any page.
    #[test]
    fn the_pages_pass_groff() {
        if Command::new("groff").arg("--version").output().is_err() {
            eprintln!("skipped: groff is not installed");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let args = ManArgs { directory: folder.path().join("man") };
        write_pages(&args, Cli::command()).unwrap();
        for (name, _) in written() {
            let mut groff = Command::new("groff");
            groff.args(["-man", "-Tutf8", "-ww", "-rLL=80n"]).arg(args.directory.join(&name));
            let out = groff.output().unwrap();
            let said = String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success() && said.is_empty(), "{name}: {said}");
            assert!(out.stdout.len() > 500, "{name} is empty");
        }
    }
}
