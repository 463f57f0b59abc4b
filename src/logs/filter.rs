//! The filter of log lines.
//!
//! Other crates print what they handle, and here they handle live credentials. lapin prints frames with their
//! bodies at trace, and returned messages with theirs at warn. amq-protocol prints the broker's URI at trace, and
//! h2 and hyper print headers at trace. So the configured level applies to our own lines only.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The level of other crates, whatever level is configured. They print payloads and headers at debug and trace.
const OTHERS: LevelFilter = LevelFilter::INFO;

/// Crates that print payloads or credentials at [`OTHERS`] too. Each is off as a whole, because a target is the
/// path of a private module, which any release may rename. No error is lost: it reaches us as a value too, and we
/// log it once per change of state.
const SILENCED: [&str; 2] = ["lapin", "amq_protocol"];

pub fn at(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(OTHERS))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_targets(SILENCED.map(|target| (target, LevelFilter::OFF)))
}
