//! A writer that never blocks.
//!
//! Standard error is often a pipe, and whoever reads it may stop: then every write blocks, and with it
//! the thread that logs, and soon all of them. Here a line is only appended to a bounded buffer, which
//! one thread of its own writes out. What does not fit is counted and dropped: to lose lines is bad,
//! to stop revoking is worse.
//!
//! In place of `tracing-appender`, which prints its own troubles to standard output, where results
//! go, and cannot say in the log that and where lines are missing.

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The most that waits to be written, in bytes: some ten thousand lines.
const CAPACITY: usize = 4 * 1024 * 1024;

/// How long the end of the process is held up for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts the thread that writes to `out`. `report_loss` is told how many lines were dropped, once
/// lines are taken again.
///
/// # Errors
///
/// The system's, if there can be no more threads.
pub(super) fn start(
    out: impl Write + Send + 'static,
    report_loss: impl Fn(u64) + Send + 'static,
) -> io::Result<(Writer, Guard)> {
    let shared = Arc::new(Shared::default());
    let thread = Arc::clone(&shared);
    thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || thread.write_out(out, report_loss))?;
    Ok((Writer(Arc::clone(&shared)), Guard(shared)))
}

/// Takes lines, one with each write.
#[derive(Clone)]
pub(super) struct Writer(Arc<Shared>);

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.0.lock();
        if queue.lines.len() + line.len() > CAPACITY {
            queue.lost += 1;
        } else {
            queue.lines.extend_from_slice(line);
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps lines being written. When it is dropped, those on their way get a last moment.
#[must_use = "without it, the last lines are lost"]
pub struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closing = true;
        self.0.changed.notify_all();
        // A blocked pipe must not keep the process from ending: whatever is left then is lost.
        drop(self.0.changed.wait_timeout_while(queue, FLUSH_TIMEOUT, |queue| !queue.closed));
    }
}

/// What the logging threads and the writing thread share.
#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    lost: u64,
    closing: bool,
    closed: bool,
}

impl Shared {
    /// The lock is held for a copy at most, never over a write.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_out(&self, mut out: impl Write, report_loss: impl Fn(u64)) {
        let mut lines = Vec::new();
        while let Some(lost) = self.take(&mut lines) {
            // There is nowhere to report to that lines cannot be written.
            drop(out.write_all(&lines).and_then(|()| out.flush()));
            lines.clear();
            if lost > 0 {
                report_loss(lost);
            }
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for lines and takes all there are, with the number of those lost after them; `None` once
    /// there are no more and never will be.
    fn take(&self, lines: &mut Vec<u8>) -> Option<u64> {
        let idle = |queue: &mut Queue| queue.lines.is_empty() && !queue.closing;
        let queue = self.changed.wait_while(self.lock(), idle);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        if queue.lines.is_empty() {
            return None;
        }
        mem::swap(lines, &mut queue.lines);
        Some(mem::take(&mut queue.lost))
    }
}
