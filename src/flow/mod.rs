//! Decides whether a call may start now, and for which job. Knows neither HTTP nor AMQP.
//!
//! [`Dispatcher`] joins the parts. Each part decides one thing:
//!
//! - `breakers`: whether a client, or the worker, is paused
//! - `limit`: the limit of concurrent calls
//! - `extra_calls`: calls above a low limit while its first calls hang
//! - `domain::Rate`: the limit of starts per second; `fleet`: this replica's share of it
//! - `lanes` and `fair`: the choice of the next lane and client
//! - `pauses`: the history of pauses

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
