//! The worker: its parts are assembled, started, run and stopped in order.
//!
//! A sweep is the same engine on a file, so it takes its parts from here too.

mod client_pauses;
mod core_dumps;
mod engine;
mod error;
mod hangup;
mod reload;
mod run;
mod stop_signals;
mod sweep;

#[cfg(test)]
pub use client_pauses::DeadLetterCommands;
pub use client_pauses::{ClientPauses, endpoint_url, shell_command};
pub use core_dumps::CoreDumps;
pub use engine::{assemble, endpoint, prefetch};
pub use error::WorkerError;
pub use hangup::Hangup;
pub use reload::ReloadSignals;
pub use run::{WorkerEnd, run};
pub use stop_signals::StopSignals;
pub use sweep::{RunningSweep, SweepEnd, SweepError};
