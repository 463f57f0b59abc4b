//! What may be logged at all.
//!
//! Other crates print what passes through them, and what passes through them here are live
//! credentials: lapin prints frames with their bodies at trace and returned messages with theirs at
//! warn, amq-protocol prints the broker's URI at trace, h2 and hyper print headers at trace. So the
//! configured level is for our own lines alone.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The most that other crates may say, whatever level is configured. Payloads and headers come below
/// it, at debug and trace.
const OTHERS: LevelFilter = LevelFilter::INFO;

/// Crates that print payloads above [`OTHERS`] as well, or hold credentials in what they print. Off
/// as a whole rather than by module: a target is a private module's path, which any release may
/// rename. Nothing is lost, since each of their errors also reaches us as a value, and is logged in
/// our words, once per change of state and not once per try.
const SILENCED: [&str; 2] = ["lapin", "amq_protocol"];

/// The filter for our own lines at `level`.
pub fn at(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(OTHERS))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_targets(SILENCED.map(|target| (target, LevelFilter::OFF)))
}
