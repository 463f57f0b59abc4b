//! May a call start now, and for which job? Ignorant of HTTP and AMQP.
//!
//! [`Dispatcher`] joins the parts, each of which decides one thing by itself: `breakers` (is a client, or the worker,
//! paused?), `limit` (how many at a time?), `domain::Rate` (how many a second?), `fleet` (which share of that is ours?),
//! `lanes` and `fair` (whose turn is it?), `early` (what if the very first calls hang?), `pauses` (how long was nothing
//! called?).

mod breakers;
mod call_outcome;
mod circuit;
mod client;
mod client_pause;
mod dispatcher;
mod early;
mod fair;
mod fleet;
mod lanes;
mod limit;
mod limit_state;
mod pauses;
mod permit;
mod settings;
mod state;
mod status;

pub use call_outcome::CallOutcome;
pub use circuit::{Cause, Pause, Phase};
pub use client_pause::ClientPause;
pub use dispatcher::Dispatcher;
pub use limit::LimitReason;
pub use limit_state::LimitState;
pub use permit::{Admission, Permit};
pub use settings::{PauseSettings, RateScope, Settings};
pub use status::{FlowReport, Status};
