//! `revoker top`: workers in a terminal, from their admin pages.

mod args;
mod exposition;
mod once;
mod poll;
mod sample;
mod view;
mod watched;

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use ratatui::crossterm::event::KeyCode;
use tokio::time::{Instant, sleep_until};

use super::{
    admin_client::reachable,
    exit::{Exit, Failure},
    output,
    screen::{Screen, ScreenEvent, moved},
};
use crate::worker::StopSignals;
pub(super) use args::TopArgs;
use view::TopView;
use watched::{Look, Watched};

/// A worker has this time for an answer, however short the interval is.
const SHORTEST_LIMIT: Duration = Duration::from_secs(2);
/// And no more than this, however long the interval is.
const LONGEST_LIMIT: Duration = Duration::from_secs(10);

/// Shows the workers until a key or a signal ends it. `default_address` is the configured worker's.
pub(super) async fn run(args: TopArgs, default_address: SocketAddr) -> Exit {
    let addresses = if args.workers.is_empty() {
        vec![reachable(default_address).to_string()]
    } else {
        args.workers.clone()
    };
    let mut workers: Vec<_> = addresses.into_iter().map(Watched::new).collect();
    let shown = if args.once || args.output.is_json() {
        print(&args, &mut workers).await
    } else {
        show(&args, &mut workers).await
    };
    shown.unwrap_or_else(|failure| failure.log())
}

/// Looks at every worker twice, and prints the result.
async fn print(args: &TopArgs, workers: &mut [Watched]) -> Result<Exit, Failure> {
    let mut signals = StopSignals::listen()?;
    let looking = async {
        for is_last in [false, true] {
            let started = Instant::now();
            let looking = workers.iter().map(|worker| look(&worker.address, args.interval));
            let looks = join_all(looking).await;
            for (worker, looked) in workers.iter_mut().zip(looks) {
                worker.record(looked.0, looked.1);
            }
            if !is_last {
                sleep_until(started + args.interval).await;
            }
        }
    };
    tokio::select! {
        () = looking => {}
        () = signals.next() => return Err(Failure::new("interrupted")),
    }
    output::print(&if args.output.is_json() { once::json(workers)? } else { once::text(workers) })?;
    let all_answer = workers.iter().all(|worker| worker.fault.is_none());
    Ok(if all_answer { Exit::Done } else { Exit::Failed })
}

/// Looks at a worker. Returns when its answer came, and the look.
async fn look(address: &str, interval: Duration) -> (Instant, Result<Look, String>) {
    let limit = interval.clamp(SHORTEST_LIMIT, LONGEST_LIMIT);
    let looked = poll::look(address, limit).await;
    (Instant::now(), looked)
}

/// Draws the workers again after each answer and each key. Each worker has its own rhythm, so that a silent one does
/// not hold up the others.
async fn show(args: &TopArgs, workers: &mut [Watched]) -> Result<Exit, Failure> {
    let mut screen = Screen::open("top, without --once,")?;
    let colours = output::text_style().colours;
    let (mut selected, rows) = (0, TopView::rows(workers.len()));
    let later = |n: usize, address: String, start: Instant| async move {
        sleep_until(start).await;
        let (at, looked) = look(&address, args.interval).await;
        (n, start, at, looked)
    };
    let start = Instant::now();
    let mut looks: FuturesUnordered<_> = workers
        .iter()
        .enumerate()
        .map(|(n, worker)| later(n, worker.address.clone(), start))
        .collect();
    loop {
        let interval = humantime::format_duration(args.interval).to_string();
        let view = TopView { workers, selected, interval, colours };
        screen.draw(|frame| view.draw(frame))?;
        tokio::select! {
            event = screen.event() => match event {
                ScreenEvent::Stop | ScreenEvent::Key(KeyCode::Char('q') | KeyCode::Esc) => return Ok(Exit::Done),
                ScreenEvent::Key(key) => selected = moved(selected, rows, key),
                ScreenEvent::Resized => {}
            },
            Some((n, start, at, looked)) = looks.next() => {
                workers[n].record(at, looked);
                let next = (start + args.interval).max(Instant::now());
                looks.push(later(n, workers[n].address.clone(), next));
            }
        }
    }
}
