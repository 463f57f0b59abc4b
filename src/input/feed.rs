//! Reads lines on a thread of its own, for callers that must not block.

use std::{
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use secrecy::ExposeSecret as _;
use tokio::sync::Notify;

use super::{InputLine, InputLines, LineKind, ReadError};

/// The maximum number of waiting lines.
const MAX_LINES: usize = 2048;

/// The maximum number of bytes of waiting jobs, exceeded by one job at most.
const MAX_BYTES: usize = 1024 * 1024;

/// The lines of a file as they are read. A caller takes all waiting lines at once: large batches from a fast
/// source, single lines from a slow one.
#[derive(Debug)]
pub struct Feed(Arc<FeedShared>);

/// A channel of lines would not bound the bytes. A channel of batches would keep an incomplete batch while
/// standard input is idle.
#[derive(Debug, Default)]
struct FeedShared {
    waiting: Mutex<WaitingLines>,
    /// Notified when lines were taken.
    room: Condvar,
    /// Notified when there are lines to take.
    arrived: Notify,
}

#[derive(Debug, Default)]
struct WaitingLines {
    lines: Vec<InputLine>,
    bytes: usize,
    /// The number of the last line.
    last: u64,
    failed: Option<ReadError>,
    ended: bool,
    /// The receiver was dropped.
    abandoned: bool,
}

impl Feed {
    /// Starts the thread.
    ///
    /// A dropped feed ends the thread with its next line. Nothing waits for the thread: a read of an idle
    /// pipe cannot be interrupted.
    pub fn start(lines: InputLines) -> io::Result<Self> {
        let shared = Arc::<FeedShared>::default();
        let thread = shared.clone();
        thread::Builder::new().name("input".to_owned()).spawn(move || thread.read(lines))?;
        Ok(Self(shared))
    }

    /// Waits for lines; returns all that wait, and none at the end.
    ///
    /// A [`ReadError`] comes once, after the last line that could be read.
    pub async fn next(&mut self) -> Result<Vec<InputLine>, ReadError> {
        loop {
            let arrived = self.0.arrived.notified();
            {
                let mut waiting = self.0.lock();
                if !waiting.lines.is_empty() {
                    waiting.bytes = 0;
                    self.0.room.notify_one();
                    return Ok(mem::take(&mut waiting.lines));
                }
                if waiting.ended {
                    return waiting.failed.take().map_or(Ok(Vec::new()), Err);
                }
            }
            arrived.await;
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.lock().abandoned = true;
        self.0.room.notify_one();
    }
}

impl FeedShared {
    /// The lock is never held during a read.
    fn lock(&self) -> MutexGuard<'_, WaitingLines> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, lines: InputLines) {
        let _ending = FeedEnd(self);
        for line in lines {
            match line {
                Ok(line) => {
                    if !self.put(line) {
                        return;
                    }
                }
                Err(error) => self.lock().failed = Some(error),
            }
        }
    }

    /// Waits for room; `false` if the receiver was dropped.
    fn put(&self, line: InputLine) -> bool {
        let full = |waiting: &mut WaitingLines| {
            !waiting.abandoned && (waiting.lines.len() >= MAX_LINES || waiting.bytes >= MAX_BYTES)
        };
        let waiting = self.room.wait_while(self.lock(), full);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if let LineKind::Job(entry) = &line.kind {
            waiting.bytes += entry.body.expose_secret().len();
        }
        waiting.last = line.number;
        waiting.lines.push(line);
        let wanted = !waiting.abandoned;
        drop(waiting);
        self.arrived.notify_one();
        wanted
    }
}

/// Marks the end even if the thread panics. A panic must not look like the end of the file.
struct FeedEnd<'a>(&'a FeedShared);

impl Drop for FeedEnd<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.ended = true;
        if thread::panicking() {
            let source = io::Error::other("a fault in this program");
            waiting.failed = Some(ReadError { line: waiting.last + 1, source });
        }
        drop(waiting);
        self.0.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;
    use crate::input::{self, InputFormat, Options};

    fn feed(content: &str) -> Feed {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.txt");
        fs::write(&path, content).unwrap();
        Feed::start(input::open(&path, &Options::default()).unwrap()).unwrap()
    }

    /// All lines come in order, and the number of waiting lines is bounded.
    #[tokio::test]
    async fn every_line_comes_in_order() {
        let count = 10 * MAX_LINES as u64 + 7;
        let tokens: Vec<String> = (1..=count).map(|n| format!("token-{n}\n")).collect();
        let mut feed = feed(&tokens.concat());
        let mut last = 0;
        loop {
            let lines = feed.next().await.unwrap();
            if lines.is_empty() {
                break;
            }
            assert!(lines.len() <= MAX_LINES, "{} at once", lines.len());
            for line in lines {
                assert_eq!(line.number, last + 1);
                last = line.number;
            }
        }
        assert_eq!(last, count);
        assert!(feed.next().await.unwrap().is_empty(), "the end stays the end");
    }

    #[tokio::test]
    async fn bytes_are_bounded_as_well() {
        let user = "u".repeat(60_000);
        let content: Vec<String> = (0..100)
            .map(|n| format!("{{\"refresh_token\":\"token-{n}\",\"x\":\"{user}\"}}\n"))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.ndjson");
        fs::write(&path, content.concat()).unwrap();
        let mut feed = Feed::start(input::open(&path, &Options::default()).unwrap()).unwrap();
        let mut total = 0;
        loop {
            let lines = feed.next().await.unwrap();
            assert!(lines.len() <= MAX_BYTES / 60_000 + 1, "{} at once", lines.len());
            if lines.is_empty() {
                break;
            }
            total += lines.len();
        }
        assert_eq!(total, 100);
    }

    /// A line is available before the next one is read, because standard input may be idle for hours.
    #[tokio::test]
    async fn a_line_does_not_wait_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let options = Options { format: Some(InputFormat::Text), ..Options::default() };
        let opening = tokio::task::spawn_blocking({
            let path = path.clone();
            move || input::open(&path, &options).unwrap()
        });
        let mut pipe = tokio::task::spawn_blocking(move || {
            let mut pipe = fs::OpenOptions::new().write(true).open(path).unwrap();
            pipe.write_all(b"one\n").unwrap();
            pipe
        })
        .await
        .unwrap();
        let mut feed = Feed::start(opening.await.unwrap()).unwrap();
        assert_eq!(feed.next().await.unwrap().len(), 1);
        pipe.write_all(b"two\nthr").unwrap();
        assert_eq!(feed.next().await.unwrap().len(), 1);
        drop(pipe);
        assert_eq!(feed.next().await.unwrap().len(), 1);
        assert!(feed.next().await.unwrap().is_empty());
    }

    /// An error comes after the lines before it.
    #[tokio::test]
    async fn a_fault_comes_behind_the_last_line() {
        let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        file.write_all(b"one\n").unwrap();
        let mut content = file.finish().unwrap();
        content.extend_from_slice(b"\x1f\x8b broken");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.txt.gz");
        fs::write(&path, content).unwrap();
        let mut feed = Feed::start(input::open(&path, &Options::default()).unwrap()).unwrap();
        assert_eq!(feed.next().await.unwrap().len(), 1);
        assert_eq!(feed.next().await.unwrap_err().line, 2);
        assert!(feed.next().await.unwrap().is_empty());
    }

    /// A panicking thread does not look like the end of the file.
    #[tokio::test]
    async fn a_reader_that_fails_is_a_fault() {
        let shared = Arc::<FeedShared>::default();
        shared.lock().last = 6;
        let thread = shared.clone();
        let failing = thread::spawn(move || {
            let _ending = FeedEnd(&thread);
            panic!("on purpose");
        });
        assert!(failing.join().is_err());
        let mut feed = Feed(shared);
        assert_eq!(feed.next().await.unwrap_err().line, 7);
    }

    #[tokio::test]
    async fn a_feed_that_is_dropped_ends_its_thread() {
        let feed = feed(&"token\n".repeat(2 * MAX_LINES));
        let shared = feed.0.clone();
        drop(feed);
        while !shared.lock().ended {
            shared.arrived.notified().await;
        }
    }
}
