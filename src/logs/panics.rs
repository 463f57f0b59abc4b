//! Panics as log lines.

use std::{
    panic::{self, PanicHookInfo},
    thread,
};

/// Logs panics in place of printing them. Where it happened is told, and never what it said: a
/// panic's message may quote the value that it stumbled over, and that may be a token.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(log));
}

pub(super) fn log(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    let thread = thread::current();
    tracing::error!(location, thread = thread.name(), "a panic: a fault of this program");
}
