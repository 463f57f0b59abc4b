//! The command line: arguments and output, one file or folder per command.

mod check;
mod dead_letters;
mod enqueue;
mod exit;
mod healthcheck;
mod job_file;
mod mock_endpoint;
mod output;
mod places;
mod profile;
mod progress;
mod sweep;
mod whole_file;

use std::{env::vars_os, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use crate::{
    config::{Config, ConfigFaults, Needs},
    domain::ErrorChain,
    endpoint, logs,
    worker::{self, CoreDumps, WorkerEnd},
};
use exit::Exit;

/// How long the end of the process waits for blocking threads.
const BLOCKING_TIMEOUT: Duration = Duration::from_millis(100);

/// Revoke refresh tokens: jobs from RabbitMQ, calls to a revoke endpoint, dead letters, metrics
#[derive(Debug, Parser)]
#[command(
    name = "revoker",
    version,
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

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the worker: take jobs from the queues, call the endpoint, settle
    #[command(after_help = "Example:\n  REVOKER_CREDENTIALS__CLIENT_ID=shop \\\n  \
                            REVOKER_CREDENTIALS__CLIENT_SECRET_FILE=/run/secrets/shop \\\n  \
                            revoker --config config/production.toml run")]
    Run,
    Enqueue(enqueue::EnqueueArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Sweep(sweep::SweepArgs),
    Check(check::CheckArgs),
    Healthcheck(healthcheck::HealthcheckArgs),
    Profile(profile::ProfileArgs),
    MockEndpoint(Box<mock_endpoint::MockEndpointArgs>),
}

/// Runs the command of this process's command line.
#[must_use]
pub fn main() -> ExitCode {
    run_command().into()
}

fn run_command() -> Exit {
    let core_dumps = CoreDumps::forbid();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return print_clap(&answer),
    };
    endpoint::install_crypto_provider();
    match cli.command {
        Command::Run => with_config(Needs::ALL, &cli.config, core_dumps, run_worker),
        Command::Sweep(args) => {
            with_config(Needs::CALLS, &cli.config, core_dumps, |config| sweep::run(args, config))
        }
        Command::Check(args) => {
            with_config(Needs::ALL, &cli.config, core_dumps, |config| check::run(args, config))
        }
        Command::Enqueue(args) => {
            with_config(Needs::NONE, &cli.config, core_dumps, |config| enqueue::run(args, config))
        }
        Command::DeadLetters(args) => with_config(Needs::NONE, &cli.config, core_dumps, |config| {
            dead_letters::run(args, config)
        }),
        Command::Healthcheck(args) => match Config::load(Needs::NONE, &cli.config, vars_os()) {
            Ok(config) => block_on(healthcheck::run(args, config.admin.listen)),
            Err(faults) => refuse(&faults),
        },
        Command::Profile(args) => profile::run(&args),
        Command::MockEndpoint(args) => block_on(mock_endpoint::run(*args)),
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

/// Loads the configuration, sets up the logs, allows core dumps if the configuration does, and runs.
fn with_config<F: Future<Output = Exit>>(
    needs: Needs,
    files: &[PathBuf],
    core_dumps: CoreDumps,
    run: impl FnOnce(Config) -> F,
) -> Exit {
    let config = match Config::load(needs, files, vars_os()) {
        Ok(config) => config,
        Err(faults) => return refuse(&faults),
    };
    let _guard = match logs::init(config.log.level.into(), config.log.format) {
        Ok(guard) => guard,
        Err(error) => return fail(&error),
    };
    logs::install_panic_hook();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Err(error) = core_dumps.allow_if(config.process.core_dumps) {
        tracing::warn!(%error, "the system refuses to change whether this process leaves a core dump");
    }
    block_on(run(config))
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use clap::CommandFactory as _;

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
