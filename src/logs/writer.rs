//! A writer that never blocks.
//!
//! Standard error is often a pipe. If its reader stops, every write blocks, and soon every thread that logs. So a
//! line is only appended to a bounded buffer, and one thread writes the buffer out. Lines that do not fit are
//! counted and dropped: a lost line is better than a worker that stops.
//!
//! The crate `tracing-appender` prints its own errors to standard output, where results go, and cannot log that
//! lines are missing.

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The capacity of the buffer, in bytes: about ten thousand lines.
const CAPACITY: usize = 4 * 1024 * 1024;

/// How long the end of the process waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts the thread that writes to `out`. It calls `report_loss` with the number of dropped lines, once lines are
/// written again. Fails if the system refuses another thread.
pub(super) fn start(
    out: impl Write + Send + 'static,
    report_loss: impl Fn(u64) + Send + 'static,
) -> io::Result<(LogWriter, LogGuard)> {
    let shared = Arc::new(LogBuffer::default());
    let thread = Arc::clone(&shared);
    thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || thread.write_out(out, report_loss))?;
    Ok((LogWriter(Arc::clone(&shared)), LogGuard(shared)))
}

/// Appends one line to the buffer with each write.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<LogBuffer>);

impl Write for LogWriter {
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

/// Keeps lines being written. When it is dropped, it waits a moment for the last lines.
#[must_use = "without it, the last lines are lost"]
pub struct LogGuard(Arc<LogBuffer>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closing = true;
        self.0.changed.notify_all();
        // A blocked pipe must not keep the process from ending. The lines that are left then are lost.
        drop(self.0.changed.wait_timeout_while(queue, FLUSH_TIMEOUT, |queue| !queue.closed));
    }
}

/// The buffer that the logging threads and the writing thread share.
#[derive(Default)]
struct LogBuffer {
    queue: Mutex<BufferedLines>,
    changed: Condvar,
}

#[derive(Default)]
struct BufferedLines {
    lines: Vec<u8>,
    lost: u64,
    closing: bool,
    closed: bool,
}

impl LogBuffer {
    /// Locks the buffer. The lock is never held during a write.
    fn lock(&self) -> MutexGuard<'_, BufferedLines> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_out(&self, mut out: impl Write, report_loss: impl Fn(u64)) {
        let mut lines = Vec::new();
        while let Some(lost) = self.take(&mut lines) {
            // A failed write cannot be reported: the log is the only place for it.
            drop(out.write_all(&lines).and_then(|()| out.flush()));
            lines.clear();
            if lost > 0 {
                report_loss(lost);
            }
        }
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for lines and takes all of them. Returns the number of lines lost after them, or `None` once the
    /// buffer is closed and empty.
    fn take(&self, lines: &mut Vec<u8>) -> Option<u64> {
        let idle = |queue: &mut BufferedLines| queue.lines.is_empty() && !queue.closing;
        let queue = self.changed.wait_while(self.lock(), idle);
        let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
        if queue.lines.is_empty() {
            return None;
        }
        mem::swap(lines, &mut queue.lines);
        Some(mem::take(&mut queue.lost))
    }
}
