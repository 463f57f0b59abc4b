//! `revoker config`: a file to start from, the settings in force, and a schema for editors. Offline.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::Serialize;

use super::{
    Exit,
    output::{self, OutputArgs},
};
use crate::{
    config::{self, SettingInForce, SettingOrigin, SettingsInForce},
    endpoint::{ALIGNET, BUILTIN, builtin},
};

/// The width of the values' column. Longer values do not move the other rows.
const VALUE_WIDTH: usize = 40;

/// Write a configuration file to start from, print what is in force, or print a JSON Schema
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  revoker config init --profile rfc7009 revoker.toml
  revoker --config revoker.toml config print --effective
  revoker config schema > revoker.schema.json")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a small commented file to start from
    #[command(after_help = "Example:\n  revoker config init --profile rfc7009 revoker.toml")]
    Init {
        /// The kind of endpoint
        #[arg(
            long,
            value_name = "NAME",
            default_value = ALIGNET,
            value_parser = PossibleValuesParser::new(BUILTIN.map(|(name, _)| name))
        )]
        profile: String,
        /// The file to create; it must not exist. Without it, standard output
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the settings that files and variables set, each with its value and its origin; secrets as ***
    #[command(after_help = "\
Examples:
  revoker --config config/production.toml config print
  revoker --config config/production.toml config print --effective --output json")]
    Print {
        /// Print every setting, those with their default too
        #[arg(long)]
        effective: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the JSON Schema of a configuration file (draft 2020-12), for editors
    #[command(after_help = "Example:\n  revoker config schema > revoker.schema.json")]
    Schema,
}

pub(super) fn run(args: &ConfigArgs, files: &[PathBuf]) -> Exit {
    match &args.command {
        ConfigCommand::Init { profile, file } => init(profile, file.as_deref()),
        ConfigCommand::Print { effective, output } => {
            let in_force = SettingsInForce::load(files, std::env::vars_os());
            print(&in_force, *effective, output.is_json())
        }
        ConfigCommand::Schema => print_text(&pretty(&config::schema()), Exit::Done),
    }
}

fn init(profile: &str, file: Option<&Path>) -> Exit {
    let Some(profile) = builtin(profile) else {
        return refuse("no such profile; `revoker profile list` lists them", Exit::Usage);
    };
    let text = config::starter(&profile);
    let Some(file) = file else { return print_text(&text, Exit::Done) };
    let created = OpenOptions::new().write(true).create_new(true).open(file);
    match created.and_then(|mut created| created.write_all(text.as_bytes())) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let shown = file.display();
            refuse(
                &format!("{shown}: exists already; choose another path, or remove it"),
                Exit::Usage,
            )
        }
        Err(error) => refuse(&format!("{}: {error}", file.display()), Exit::Failed),
    }
}

/// The document of `--output json`.
#[derive(Serialize)]
struct PrintedSettings<'a> {
    settings: Vec<&'a SettingInForce>,
    faults: Vec<String>,
    warnings: &'a [String],
}

/// Prints the settings, also those beside a fault. Faults go to standard error.
fn print(in_force: &SettingsInForce, effective: bool, as_json: bool) -> Exit {
    let settings: Vec<&SettingInForce> =
        in_force.settings.iter().filter(|setting| effective || setting.is_set()).collect();
    let faults = in_force.faults.as_ref().map(ToString::to_string).unwrap_or_default();
    let exit = if faults.is_empty() { Exit::Done } else { Exit::Usage };
    let text = if as_json {
        let faults = faults.lines().map(str::to_owned).collect();
        pretty(&PrintedSettings { settings, faults, warnings: &in_force.warnings })
    } else {
        table(&settings)
    };
    let exit = print_text(&text, exit);
    for line in faults.lines() {
        complain(line);
    }
    exit
}

fn table(settings: &[&SettingInForce]) -> String {
    let rows: Vec<(&str, String, String)> = settings
        .iter()
        .map(|setting| (setting.key.as_str(), value(setting), origin(&setting.origin)))
        .collect();
    let width = |width: fn(&(&str, String, String)) -> usize| rows.iter().map(width).max();
    let keys = width(|(key, ..)| key.chars().count()).unwrap_or_default();
    let values = width(|(_, value, _)| value.chars().count()).unwrap_or_default().min(VALUE_WIDTH);
    rows.iter().fold(String::new(), |mut text, (key, value, origin)| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{key:<keys$}  {value:<values$}  {origin}");
        text
    })
}

/// The value as TOML writes it, which is how JSON writes strings, numbers and lists.
fn value(setting: &SettingInForce) -> String {
    match &setting.value {
        Some(value) => value.to_string(),
        None if setting.faulty => "(faulty)".to_owned(),
        None => "-".to_owned(),
    }
}

fn origin(origin: &SettingOrigin) -> String {
    match origin {
        SettingOrigin::None => "not set".to_owned(),
        SettingOrigin::Default => "default".to_owned(),
        SettingOrigin::File { file, line } => format!("{file}:{line}"),
        SettingOrigin::Variable { variable } => variable.clone(),
        SettingOrigin::Derived { from } => format!("from {from}"),
    }
}

fn pretty(document: &impl Serialize) -> String {
    // Names and values of settings always serialize.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

fn print_text(text: &str, exit: Exit) -> Exit {
    match output::print(text) {
        Ok(()) => exit,
        Err(error) => refuse(&error.to_string(), Exit::Failed),
    }
}

fn refuse(text: &str, exit: Exit) -> Exit {
    complain(text);
    exit
}

/// Writes a line to standard error. A closed one does not change the exit code.
fn complain(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}
