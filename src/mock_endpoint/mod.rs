//! A scripted mock of the revoke endpoint, for demos and tests.
//!
//! It answers in the vendor's envelope, or fails as its [`Script`] says. Its [`Ledger`] counts the calls for each
//! token, for comparison with the queue. Tests start it in their own process as [`MockEndpoint`].

mod answer;
mod connection;
mod ledger;
mod outage;
mod script;
mod server;

pub use ledger::{Ledger, LedgerTotals, TokenTotals};
pub use outage::MockOutage;
pub use script::{CannedAnswer, Script};
pub use server::MockEndpoint;
