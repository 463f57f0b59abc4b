//! Standard error, which log lines may share with a bar.

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Runs a write, with whatever is drawn on the terminal out of its way.
type StepAside = dyn Fn(&mut dyn FnMut()) + Send;

/// There is one standard error, so there is one who draws on it.
static DRAWN: Mutex<Option<Box<StepAside>>> = Mutex::new(None);

fn drawn() -> MutexGuard<'static, Option<Box<StepAside>>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on, until [`Aside`] is dropped, log lines are written through `around`: it takes away what
/// it has drawn, runs what it is given, and draws again. Otherwise a line would go on where the bar
/// ends.
#[must_use = "dropped, log lines are written straight away again"]
pub fn step_aside(around: impl Fn(&mut dyn FnMut()) + Send + 'static) -> Aside {
    *drawn() = Some(Box::new(around));
    Aside(())
}

/// Somebody draws on standard error.
pub struct Aside(());

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aside")
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        *drawn() = None;
    }
}

/// Where log lines go: `out`, beside what is drawn.
pub(super) struct Beside<W>(pub(super) W);

impl<W: Write> Write for Beside<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let mut written = Ok(0);
        match &*drawn() {
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
    fn what_is_drawn_steps_aside_until_it_is_gone() {
        let asides = Arc::new(Mutex::new(0));
        let aside = step_aside({
            let asides = asides.clone();
            move |write| {
                *asides.lock().unwrap() += 1;
                write();
            }
        });
        let mut out = Beside(Vec::new());
        out.write_all(b"beside\n").unwrap();
        assert_eq!(*asides.lock().unwrap(), 1);
        drop(aside);
        out.write_all(b"alone\n").unwrap();
        assert_eq!(*asides.lock().unwrap(), 1);
        assert_eq!(out.0, b"beside\nalone\n");
    }
}
