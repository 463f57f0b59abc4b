//! `revoker topology`: what somebody else's provisioning of the broker needs. Offline.

mod commands;
mod definitions;
mod permissions;
mod policies;

use clap::{Args, Subcommand, ValueEnum};

use super::{Exit, output};
use crate::{
    broker::{BrokerSettings, Provisioning},
    config::Config,
};

/// Print what somebody else has to provision at the broker: queues, permissions, policies
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  revoker --config revoker.toml topology print --format definitions > definitions.json
  rabbitmqctl import_definitions definitions.json")]
pub(super) struct TopologyArgs {
    #[command(subcommand)]
    command: TopologyCommand,
}

#[derive(Debug, Subcommand)]
enum TopologyCommand {
    /// Print it, without a connection to the broker
    #[command(after_help = "\
Examples:
  revoker --config revoker.toml topology print --format definitions > definitions.json
  revoker --config revoker.toml topology print --format permissions")]
    Print {
        /// What to print
        #[arg(long, value_enum, default_value = "definitions")]
        format: TopologyFormat,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TopologyFormat {
    /// The queues as a file for `rabbitmqctl import_definitions`, without users
    Definitions,
    /// The queues as commands of the management plugin's rabbitmqadmin
    Rabbitmqadmin,
    /// The least rights of worker, producer and operator as commands of rabbitmqctl
    Permissions,
    /// Policies that give the arguments to queues without them, and what no policy may do
    Policies,
}

pub(super) fn run(args: &TopologyArgs, config: &Config) -> Exit {
    let TopologyCommand::Print { format } = args.command;
    let text = text(format, &config.broker);
    output::exit_code(output::print(&text), Exit::Done)
}

fn text(format: TopologyFormat, settings: &BrokerSettings) -> String {
    let provisioning = Provisioning::of(settings);
    match format {
        TopologyFormat::Definitions => definitions::text(&provisioning),
        TopologyFormat::Rabbitmqadmin => commands::text(&provisioning),
        TopologyFormat::Permissions => permissions::text(&provisioning, settings.declare),
        TopologyFormat::Policies => policies::text(&provisioning),
    }
}

/// A word of a command line, quoted for a shell. The crate `shlex` would mix both kinds of quotes in one pattern.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A regular expression of exactly these names.
fn exactly<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(escaped).collect();
    match names.as_slice() {
        [] => "^$".to_owned(),
        [name] => format!("^{name}$"),
        names => format!("^({})$", names.join("|")),
    }
}

/// A name as a regular expression. A character that is no letter and no digit may have a meaning in one.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' && c != '-' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_exactly_and_survive_a_shell() {
        assert_eq!(exactly(["a.b"]), r"^a\.b$");
        assert_eq!(exactly(["a", "x y|z"]), r"^(a|x\ y\|z)$");
        assert_eq!(exactly([]), "^$");
        for text in ["it's $HOME", "", "'", r"^a\.b$", "--vhost=/"] {
            assert_eq!(shlex::split(&word(text)).unwrap(), [text]);
        }
        assert_eq!(word(r"^a\.b$"), r"'^a\.b$'");
    }
}
