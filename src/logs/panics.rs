//! Panics as log lines.

use std::{
    panic::{self, PanicHookInfo},
    thread,
};

/// Logs panics in place of printing them. The line has the place of the panic and not its message, because the
/// message may quote a value that is a token.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(log));
}

pub(super) fn log(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    let thread = thread::current();
    tracing::error!(location, thread = thread.name(), "a panic: a fault of this program");
}
