//! Standard error, which log lines may share with a progress bar.

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Removes the bar, runs a write, and draws the bar again.
type AroundWrite = dyn Fn(&mut dyn FnMut()) + Send;

/// The bar on standard error, of which there is one at most.
static BAR: Mutex<Option<Box<AroundWrite>>> = Mutex::new(None);

fn bar() -> MutexGuard<'static, Option<Box<AroundWrite>>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes log lines through `around` until the result is dropped. `around` removes its bar, runs the write, and
/// draws the bar again. Otherwise a log line would begin where the bar ends.
#[must_use = "when it is dropped, log lines are written directly again"]
pub fn share_terminal(around: impl Fn(&mut dyn FnMut()) + Send + 'static) -> TerminalShare {
    *bar() = Some(Box::new(around));
    TerminalShare(())
}

/// Keeps a bar and the log lines apart until it is dropped.
#[derive(Debug)]
pub struct TerminalShare(());

impl Drop for TerminalShare {
    fn drop(&mut self) {
        *bar() = None;
    }
}

pub(super) struct SharedTerminal<W>(pub(super) W);

impl<W: Write> Write for SharedTerminal<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut written = Ok(0);
        match &*bar() {
            Some(around) => around(&mut || written = self.0.write(lines)),
            None => written = self.0.write(lines),
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_bar_is_removed_around_each_log_line() {
        let removals = Arc::new(Mutex::new(0));
        let share = share_terminal({
            let removals = removals.clone();
            move |write| {
                *removals.lock().unwrap() += 1;
                write();
            }
        });
        let mut out = SharedTerminal(Vec::new());
        out.write_all(b"beside\n").unwrap();
        assert_eq!(*removals.lock().unwrap(), 1);
        drop(share);
        out.write_all(b"alone\n").unwrap();
        assert_eq!(*removals.lock().unwrap(), 1);
        assert_eq!(out.0, b"beside\nalone\n");
    }
}
