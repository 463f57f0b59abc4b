//! Reads outcome events from the queue, or from a file.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use tokio::task::spawn_blocking;

use super::ReportArgs;
use crate::{
    broker::{BrowseProgress, DeadLetterQueue},
    cli::{dead_letters::reading::show_while, exit::Failure, report_file::origin},
    config::Config,
    input::STDIN,
    ports::{Clock, SystemClock},
    report::{EventBook, EventsReport, EventsSource, Line, LineReader, SigningKey},
    worker::{StopSignals, WorkerError},
};

/// Reads all events, and returns the report.
pub(super) async fn report(
    args: &ReportArgs,
    config: Config,
    key: Option<&SigningKey>,
) -> Result<EventsReport, Failure> {
    let now = SystemClock.now();
    let span = [args.since, args.until].map(|moment| Some(moment?.resolve(now)));
    let span: (Option<_>, Option<_>) = span.into();
    let book = EventBook::new(span.0, span.1);
    let queue = args.queue.clone().or_else(|| config.broker.outcomes.clone());
    let (source, book, held_by_others) = match (&args.events, &queue) {
        (Some(path), _) => {
            let (path, shown) = (path.clone(), path.display().to_string());
            let book = spawn_blocking(move || read_file(&path, book)).await??;
            (EventsSource::File(shown), book, 0)
        }
        (None, Some(queue)) => {
            let (book, held) = browse(config, queue, book).await?;
            (EventsSource::Queue(queue.clone()), book, held)
        }
        (None, None) => {
            return Err(Failure::usage(
                "there are no events to read: set outcomes.queue, or give --events FILE or --queue NAME",
            ));
        }
    };
    Ok(EventsReport::new(source, &book, span, held_by_others, origin(key)))
}

fn read_file(path: &Path, book: EventBook) -> Result<EventBook, Failure> {
    let place = || path.display().to_string();
    let read = if path == Path::new(STDIN) {
        read_lines(io::stdin().lock(), book)
    } else {
        let file = File::open(path)
            .map_err(|error| Failure::usage(format!("{} cannot be opened: {error}", place())))?;
        read_lines(BufReader::new(file), book)
    };
    read.map_err(|error| Failure::at(place(), &error))
}

fn read_lines(input: impl BufRead, mut book: EventBook) -> io::Result<EventBook> {
    let mut lines = LineReader::new(input);
    while let Some(line) = lines.next()? {
        match line {
            Line::Whole(text) => drop(book.add(text)),
            Line::TooLong => book.add_too_long(),
        }
    }
    Ok(book)
}

/// Reads every message of a queue, and leaves all of them there. Returns the number of messages that others held.
async fn browse(
    config: Config,
    queue: &str,
    mut book: EventBook,
) -> Result<(EventBook, u64), Failure> {
    let mut signals = StopSignals::listen().map_err(WorkerError::Signals)?;
    let mut queue = DeadLetterQueue::of_outcomes(&Arc::new(config.broker), queue);
    let progress = BrowseProgress::default();
    let reading = queue.read_all(&progress, async |message| {
        book.add(message.body());
        Ok::<(), Failure>(())
    });
    let read = tokio::select! {
        read = show_while("reading", &progress, reading) => read,
        () = signals.next() => Err(Failure::new("interrupted: every message stays in the queue")),
    };
    queue.disconnect().await;
    Ok((book, read?.held_by_others.into()))
}
