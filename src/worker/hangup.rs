//! The meaning of SIGHUP, which the system sends when a terminal is closed, and a supervisor as an order to reload.
//!
//! A command always ends by it. A worker ends by it only if it was started on a terminal, because nobody else watches
//! it there. Elsewhere the signal is the usual order to read files again. A process that is started with SIGHUP
//! ignored, as `nohup` does, should survive the terminal, so the signal stays ignored.

use std::{
    fs,
    io::{self, IsTerminal as _},
};

/// The bit of SIGHUP in a mask of signals.
const SIGHUP: u64 = 1;

/// What SIGHUP does to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// It ends the process in order.
    Stops,
    /// It reads the secrets again.
    Reloads,
    /// It was ignored at the start, and stays so.
    Ignored,
}

impl Hangup {
    /// For a command that ends by itself. Call it before the signal is listened for.
    pub fn of_command() -> Self {
        if is_ignored() { Self::Ignored } else { Self::Stops }
    }

    /// For a worker, which may run under a supervisor. Call it before the signal is listened for.
    pub fn of_worker() -> Self {
        Self::of(is_ignored(), is_on_terminal())
    }

    const fn of(ignored: bool, on_terminal: bool) -> Self {
        match (ignored, on_terminal) {
            (true, _) => Self::Ignored,
            (false, true) => Self::Stops,
            (false, false) => Self::Reloads,
        }
    }
}

/// Whether any of the standard streams is a terminal. Supervisors and container engines give a process none.
fn is_on_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// Whether the parent had the signal ignored. Only Linux tells it without unsafe code.
fn is_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status))
}

fn ignores(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & SIGHUP != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_stays_ignored_and_only_a_terminal_makes_it_the_end() {
        assert_eq!(Hangup::of(true, true), Hangup::Ignored);
        assert_eq!(Hangup::of(true, false), Hangup::Ignored);
        assert_eq!(Hangup::of(false, true), Hangup::Stops);
        assert_eq!(Hangup::of(false, false), Hangup::Reloads);
    }

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        assert!(ignores("Name:\trevoker\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores("Name:\trevoker\n"));
    }
}
