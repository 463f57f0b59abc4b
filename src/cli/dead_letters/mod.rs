//! `revoker dead-letters`: lists, browses, shows, replays, exports and discards dead letters. One file or folder per command.

mod browse;
mod change;
mod discard;
mod export;
mod export_line;
mod filter;
mod letter_json;
mod list;
mod list_json;
pub(super) mod reading;
mod reasons;
mod replay;
mod show;
mod table;
#[cfg(test)]
mod testing;

use std::{sync::Arc, time::SystemTime};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    exit::{Exit, Failure},
    output::{self, OutputArgs},
};
use crate::{
    broker::{self, DeadLetterQueue},
    config::Config,
    ports::{Clock, SystemClock},
    worker::StopSignals,
};
use reading::Display;

/// List, browse, show, replay, export or discard dead letters
///
/// While a command reads, it holds all messages of the queue: metrics and a second command see an empty queue.
/// This takes seconds. Then the command returns the remaining messages in order, even if it fails. Tokens are
/// shown as fingerprints.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, from the list to the replay:\n  \
                        revoker dead-letters list --since 2h\n  \
                        revoker dead-letters show logout-7\n  \
                        revoker dead-letters replay --reason exhausted --since 2h --dry-run\n  \
                        revoker dead-letters replay --reason exhausted --since 2h --rate 20")]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DeadLettersCommand {
    List(list::ListArgs),
    Browse(browse::BrowseArgs),
    Show(show::ShowArgs),
    Replay(replay::ReplayArgs),
    Export(export::ExportArgs),
    Discard(discard::DiscardArgs),
}

impl DeadLettersArgs {
    /// The command's name, for the names of its connections.
    pub const fn name(&self) -> &'static str {
        match &self.command {
            DeadLettersCommand::List(_) => "dead-letters list",
            DeadLettersCommand::Browse(_) => "dead-letters browse",
            DeadLettersCommand::Show(_) => "dead-letters show",
            DeadLettersCommand::Replay(_) => "dead-letters replay",
            DeadLettersCommand::Export(_) => "dead-letters export",
            DeadLettersCommand::Discard(_) => "dead-letters discard",
        }
    }
}

/// The context of every command.
struct CommandContext {
    queue: DeadLetterQueue,
    settings: Arc<broker::BrokerSettings>,
    /// Cancelled by the first signal: the command finishes the current step, and starts no other.
    stop: CancellationToken,
    now: SystemTime,
    display: Display,
}

/// Runs a command. The first signal ends it in order, the second one at once.
pub async fn run(args: DeadLettersArgs, config: Config) -> Exit {
    let mut signals = match StopSignals::listen() {
        Ok(signals) => signals,
        Err(error) => return Failure::at("signals cannot be handled", &error).log(),
    };
    let settings = Arc::new(config.broker);
    let stop = CancellationToken::new();
    let context = CommandContext {
        queue: DeadLetterQueue::new(&settings, config.pipeline.defaults),
        settings,
        stop: stop.clone(),
        now: SystemClock.now(),
        display: Display::Bar,
    };
    let running = run_command(args.command, context);
    tokio::pin!(running);
    tokio::select! {
        code = &mut running => return code,
        () = signals.next() => stop.cancel(),
    }
    tokio::select! {
        code = &mut running => code,
        () = signals.next() => {
            warn!("ended at once by a second signal: a few dead letters may have been replayed and still be here");
            Exit::Failed
        }
    }
}

async fn run_command(command: DeadLettersCommand, mut context: CommandContext) -> Exit {
    let ended = match command {
        DeadLettersCommand::List(args) => list::run(&args, &mut context).await,
        DeadLettersCommand::Browse(args) => browse::run(args, &mut context).await,
        DeadLettersCommand::Show(args) => show::run(&args, &mut context).await,
        DeadLettersCommand::Replay(args) => replay::run(&args, &mut context).await,
        DeadLettersCommand::Export(args) => export::run(&args, &mut context).await,
        DeadLettersCommand::Discard(args) => discard::run(&args, &mut context).await,
    };
    context.queue.disconnect().await;
    ended.unwrap_or_else(|failure| failure.log())
}

/// Prints a result: as a JSON document, or as the text.
fn report(
    form: OutputArgs,
    result: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let text = if form.is_json() { serde_json::to_string_pretty(result)? + "\n" } else { text() };
    Ok(output::print(&text)?)
}
