//! `revoker dead-letters`: looks at the dead-letter queue, sends letters back, writes them to a file,
//! throws them away. One file per action; what decides is apart from what asks the broker.

mod confirmation;
mod counts;
mod discard;
mod export;
mod failure;
mod filter;
mod frozen;
mod list;
mod moment;
mod pace;
mod progress;
mod reading;
mod record;
mod replay;
mod room;
mod rounds;
mod selection;
mod show;
mod table;

use std::{process::ExitCode, sync::Arc, time::SystemTime};

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub(super) use self::moment::rfc3339;

use self::failure::Failure;
use super::{EXIT_PARTLY, output, signals::Endings};
use crate::{
    broker::{self, DeadLetterQueue},
    config::Config,
};

/// Works on the dead-letter queue: looks, replays, exports, discards
///
/// Each action holds the whole queue while it looks, for seconds, and gives back what it does not take,
/// in order, however it ends. Meanwhile the queue counts as empty for metrics and for a second tool.
/// Tokens appear as fingerprints.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, from what died to what is done about it:\n  \
                        revoker dead-letters list --since 2h\n  \
                        revoker dead-letters show logout-7\n  \
                        revoker dead-letters replay --reason exhausted --since 2h --dry-run\n  \
                        revoker dead-letters replay --reason exhausted --since 2h --rate 20")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(list::Args),
    Show(show::Args),
    Replay(replay::Args),
    Export(export::Args),
    Discard(discard::Args),
}

/// How an action ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All of it was done.
    Well,
    /// Some letters were refused.
    Partly,
}

/// What every action works with.
struct Tools {
    queue: DeadLetterQueue,
    settings: Arc<broker::Settings>,
    /// Cancelled by the first signal: what is under way is finished, nothing more is begun.
    stop: CancellationToken,
    /// When the action began: ages and times are told from here.
    now: SystemTime,
}

/// Runs one action; a first signal ends it in order, a second one at once.
pub async fn run(args: Args, config: Config) -> ExitCode {
    let mut endings = match Endings::listen() {
        Ok(endings) => endings,
        Err(error) => {
            error!("signals cannot be listened for: {error}");
            return ExitCode::FAILURE;
        }
    };
    let settings = Arc::new(config.broker);
    let stop = CancellationToken::new();
    let tools = Tools {
        queue: DeadLetterQueue::new(&settings, config.pipeline.defaults),
        settings,
        stop: stop.clone(),
        now: SystemTime::now(),
    };
    let acting = act(args.action, tools);
    tokio::pin!(acting);
    tokio::select! {
        code = &mut acting => return code,
        () = endings.next() => stop.cancel(),
    }
    tokio::select! {
        code = &mut acting => code,
        () = endings.next() => {
            warn!("ended at once by a second signal: a few letters may have been replayed and stay here too");
            ExitCode::FAILURE
        }
    }
}

async fn act(action: Action, mut tools: Tools) -> ExitCode {
    let ended = match action {
        Action::List(args) => list::run(&args, &mut tools).await,
        Action::Show(args) => show::run(&args, &mut tools).await,
        Action::Replay(args) => replay::run(&args, &mut tools).await,
        Action::Export(args) => export::run(&args, &mut tools).await,
        Action::Discard(args) => discard::run(&args, &mut tools).await,
    };
    tools.queue.disconnect().await;
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Partly) => ExitCode::from(EXIT_PARTLY),
        Err(failure) => {
            error!("{failure}");
            failure.exit_code()
        }
    }
}

/// Prints a result.
fn print(text: &str) -> Result<(), Failure> {
    Ok(output::print(text)?)
}

/// Prints a part of a result, and empties it.
async fn print_on(text: &mut String) -> Result<(), Failure> {
    output::print_part(text).await?;
    text.clear();
    Ok(())
}

/// Prints a result for a script, as one JSON document.
fn print_json(result: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(result).map_err(Failure::Unprintable)?;
    text.push('\n');
    print(&text)
}
