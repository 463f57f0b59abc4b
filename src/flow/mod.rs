//! Decides whether a call may start now, and for which job. Knows neither HTTP nor AMQP.
//!
//! [`Dispatcher`] joins the parts. Each part decides one thing:
//!
//! - `breakers`: whether a client, or the worker, is paused
//! - `limit`: how many calls may be under way
//! - `extra_calls`: how many more, while the first calls of a low limit hang
//! - `domain::Rate`: how many calls may start per second; `fleet`: which share of that belongs to this replica
//! - `lanes` and `fair`: which lane and which client is next
//! - `pauses`: how long calls were paused

mod breakers;
mod call_outcome;
mod circuit;
mod client;
mod dispatcher;
mod extra_calls;
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
pub use circuit::{ClientPause, Pause, PauseCause, Phase};
pub use dispatcher::Dispatcher;
pub use limit::LimitReason;
pub use limit_state::LimitState;
pub use permit::{Admission, Permit};
pub use settings::{PauseSettings, RateScope, Settings};
pub use status::Status;
