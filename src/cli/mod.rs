//! The command line: arguments and output, one file or folder per command.

mod admin_client;
mod check;
mod completions;
mod config;
mod dead_letters;
mod enqueue;
mod exit;
mod healthcheck;
mod job_file;
mod json_list;
mod man;
mod mock_endpoint;
mod moment;
mod output;
mod places;
mod profile;
mod progress;
mod report;
mod report_file;
mod screen;
mod sweep;
mod text_style;
mod top;
mod topology;
mod whole_file;

use std::{
    env::{args_os, vars_os},
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::{
    config::{Config, ConfigFaults, Needs},
    domain::ErrorChain,
    endpoint,
    logs::{self, LogReader},
    worker::{self, CoreDumps, WorkerEnd},
};
use exit::{Exit, Failure};
use text_style::ColorWhen;

/// How long the end of the process waits for blocking threads.
const BLOCKING_TIMEOUT: Duration = Duration::from_millis(100);

/// Revoke refresh tokens: jobs from RabbitMQ, calls to a revoke endpoint, dead letters, metrics
#[derive(Debug, Parser)]
#[command(
    name = "revoker",
    version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("REVOKER_REVISION"), ")"),
    after_help = "Example:\n  revoker --config config/production.toml run"
)]
struct Cli {
    /// A configuration file; later ones win over earlier ones
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "REVOKER_CONFIG",
        action = clap::ArgAction::Append
    )]
    config: Vec<PathBuf>,

    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        help = "When to use colours; auto: on a terminal, unless NO_COLOR is set"
    )]
    color: ColorWhen,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the worker: take jobs from the queues, call the endpoint, settle
    #[command(after_help = "Example:\n  REVOKER_CREDENTIALS__CLIENT_ID=shop \\\n  \
                            REVOKER_CREDENTIALS__CLIENT_SECRET_FILE=/run/secrets/shop \\\n  \
                            revoker --config config/production.toml run\n\n\
                            SIGTERM and Ctrl-C stop it in order. So does SIGHUP if it was started on a terminal; \
                            elsewhere SIGHUP reads the secrets again. SIGUSR1 always reads them again. Under nohup, \
                            SIGHUP stays ignored.")]
    Run,
    Enqueue(enqueue::EnqueueArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Sweep(Box<sweep::SweepArgs>),
    Report(report::ReportArgs),
    Check(check::CheckArgs),
    Healthcheck(healthcheck::HealthcheckArgs),
    Config(config::ConfigArgs),
    Top(top::TopArgs),
    Topology(topology::TopologyArgs),
    Profile(profile::ProfileArgs),
    MockEndpoint(Box<mock_endpoint::MockEndpointArgs>),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Command {
    /// Its name on the command line, for the names of its connections.
    const fn name(&self) -> &'static str {
        match self {
            Self::Run => RUN,
            Self::Enqueue(_) => "enqueue",
            Self::DeadLetters(args) => args.name(),
            Self::Sweep(_) => "sweep",
            Self::Report(_) => "report",
            Self::Check(_) => "check",
            Self::Healthcheck(_) => "healthcheck",
            Self::Config(_) => "config",
            Self::Profile(_) => "profile",
            Self::Top(_) => "top",
            Self::Topology(_) => "topology",
            Self::MockEndpoint(_) => "mock-endpoint",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

/// The only command whose log follows `log.format` on a terminal too.
const RUN: &str = "run";

/// Runs the command of this process's command line.
#[must_use]
pub fn main() -> ExitCode {
    run_command().into()
}

fn run_command() -> Exit {
    let core_dumps = CoreDumps::forbid();
    ColorWhen::of_arguments(args_os()).apply();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return print_clap(&answer),
    };
    cli.color.apply();
    endpoint::install_crypto_provider();
    let start = CommandStart { name: cli.command.name(), files: &cli.config, core_dumps };
    match cli.command {
        Command::Run => start.with_config(Needs::ALL, run_worker),
        Command::Sweep(mut args) => match args.command.take() {
            Some(sweep::SweepCommand::Lookup(args)) => {
                start.with_config(Needs::NONE, |_| sweep::lookup::run(*args))
            }
            None => start.with_config(Needs::CALLS, |config| sweep::run(*args, config)),
        },
        Command::Report(args) => start.with_config(Needs::NONE, |config| report::run(args, config)),
        Command::Check(args) => start.with_config(Needs::ALL, |config| check::run(args, config)),
        Command::Enqueue(args) => {
            start.with_config(Needs::NONE, |config| enqueue::run(args, config))
        }
        Command::DeadLetters(args) => {
            start.with_config(Needs::NONE, |config| dead_letters::run(args, config))
        }
        Command::Healthcheck(args) => match Config::load(Needs::NONE, &cli.config, vars_os()) {
            Ok(config) => block_on(healthcheck::run(args, config.admin.listen)),
            Err(faults) => refuse(&faults),
        },
        Command::Config(args) => config::run(&args, &cli.config),
        Command::Top(args) => {
            start.with_config(Needs::NONE, |config| top::run(args, config.admin.listen))
        }
        Command::Topology(args) => match Config::load(Needs::NONE, &cli.config, vars_os()) {
            Ok(config) => topology::run(&args, &config),
            Err(faults) => refuse(&faults),
        },
        Command::Profile(args) => profile::run(&args),
        Command::MockEndpoint(args) => block_on(mock_endpoint::run(*args)),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
    }
}

async fn run_worker(config: Config) -> Exit {
    match worker::run(&config).await {
        Ok(WorkerEnd::InOrder) => Exit::Done,
        Ok(WorkerEnd::Early) => Exit::Failed,
        Err(fault) => Exit::of_failure(fault.is_usage()),
    }
}

/// Prints the errors of a command line, or the requested help or version.
fn print_clap(answer: &clap::Error) -> Exit {
    let printed = answer.print();
    if answer.use_stderr() {
        return Exit::Usage;
    }
    match output::printed(printed) {
        Ok(()) => Exit::Done,
        Err(failure) => fail(&failure),
    }
}

/// What every command with a configuration starts from.
struct CommandStart<'a> {
    name: &'static str,
    files: &'a [PathBuf],
    core_dumps: CoreDumps,
}

impl CommandStart<'_> {
    /// Loads the configuration, sets up the logs, allows core dumps if the configuration does, and runs.
    fn with_config<F: Future<Output = Exit>>(
        self,
        needs: Needs,
        run: impl FnOnce(Config) -> F,
    ) -> Exit {
        let mut config = match Config::load(needs, self.files, vars_os()) {
            Ok(config) => config,
            Err(faults) => return refuse(&faults),
        };
        config.broker.command = self.name;
        let reader = if self.name == RUN { LogReader::Operator } else { LogReader::Person };
        let _guard = match logs::init(config.log.level.into(), config.log.format, reader) {
            Ok(guard) => guard,
            Err(error) => return fail(&error),
        };
        logs::install_panic_hook();
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        if let Err(error) = self.core_dumps.allow_if(config.process.core_dumps) {
            tracing::warn!(%error, "the system refuses to change whether this process leaves a core dump");
        }
        block_on(run(config))
    }
}

fn block_on(run: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(run);
            // A blocking thread may hang in a DNS lookup or on a file.
            runtime.shutdown_timeout(BLOCKING_TIMEOUT);
            code
        }
        Err(error) => fail(&error),
    }
}

fn refuse(faults: &ConfigFaults) -> Exit {
    // A closed standard error does not change the exit code.
    drop(writeln!(std::io::stderr(), "{faults}"));
    Exit::Usage
}

fn fail(error: &(dyn std::error::Error + 'static)) -> Exit {
    drop(writeln!(std::io::stderr(), "{}", ErrorChain(error)));
    Exit::Failed
}

/// Prints a failure of a command that has no log.
fn fail_with(failure: &Failure) -> Exit {
    drop(writeln!(std::io::stderr(), "{failure}"));
    failure.exit()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::worker::DeadLetterCommands;

    /// clap detects some faults of the definitions only at runtime.
    #[test]
    fn every_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Every help shows an example.
    #[test]
    fn every_help_has_an_example() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has none", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    /// Scripts find the same option in every command, and `--json` is only its short form.
    #[test]
    fn no_command_has_json_without_output() {
        fn check(command: &clap::Command, path: &str, found: &mut usize) {
            let path = format!("{path} {}", command.get_name());
            let has = |name| command.get_arguments().any(|arg| arg.get_long() == Some(name));
            assert_eq!(has("json"), has("output"), "{path}");
            *found += usize::from(has("output"));
            command.get_subcommands().for_each(|command| check(command, &path, found));
        }
        let mut found = 0;
        check(&Cli::command(), "", &mut found);
        assert!(found >= 13, "only {found} commands have it");
    }

    /// A suggested command is valid after a shell has split it, for any client id.
    #[test]
    fn suggested_commands_survive_a_shell_and_are_commands() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
        for client in
            ["shop", "-x", "a b", "it's", "$HOME", "`id`", "a;b", "\"", "\\", "ñandú", "#1", "!x"]
        {
            let files = ["config/production.toml".into(), "with blank.toml".into()];
            let commands = DeadLetterCommands::new(&files, Some(client), since);
            for command in [&commands.list, &commands.replay] {
                let out = std::process::Command::new("sh")
                    .args(["-c", &format!("printf '%s\\0' {command}")])
                    .output()
                    .unwrap();
                let words = String::from_utf8(out.stdout).unwrap();
                let words: Vec<&str> = words.split_terminator('\0').collect();
                assert!(words.iter().any(|word| word.ends_with(client)), "{command}");
                Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
            }
        }
        assert_eq!(
            DeadLetterCommands::new(&[], Some("shop"), since).replay,
            "revoker dead-letters replay --reason rejected --reason rejected_after_ambiguity --client-id shop \
             --since 2023-11-14T22:13:20Z --include-rejected"
        );
    }
}
