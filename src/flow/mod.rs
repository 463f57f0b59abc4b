//! May a call start now, and for which job? Ignorant of HTTP and AMQP.
//!
//! [`Dispatcher`] joins the parts, each of which decides one thing by itself: `pause` (is it weather?),
//! `limit` (how many at a time?), `rate` (how many a second?), `lanes` (whose turn is it?).

mod dispatcher;
mod evidence;
mod lanes;
mod limit;
mod pause;
mod rate;
mod settings;
mod status;

pub use dispatcher::{Dispatcher, Permit};
pub use evidence::Evidence;
pub use pause::{Cause, Pause, Phase};
pub use rate::Rate;
pub use settings::{PauseSettings, Settings};
pub use status::{FlowReport, Status};
