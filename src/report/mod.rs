//! Reports on revoked tokens, for people and for auditors: what happened to how many, when, and what proves it.
//!
//! A sweep makes a report from its journal, and `revoker report` makes one from outcome events. Both fill the same
//! parts: [`EndCounts`] by outcome and by proof, a [`Timeline`], and an [`Origin`]. JSON and text are the report's own.
//! The HTML page is made of a [`Document`], so that both pages read alike. A signature stands beside the file.
//!
//! A report holds no token, and no text of a producer or an endpoint: only names that are known, counts and times.

mod count_rows;
mod counts;
mod document;
mod events;
mod events_report;
mod html;
mod key_id;
mod line_reader;
mod origin;
mod remains;
mod signature;
mod timeline;

pub use count_rows::CountRows;
pub use counts::{End, EndCounts};
pub use document::{Document, Row, Table, Tone};
pub use events::EventBook;
pub use events_report::{EventsReport, EventsSource, ProofCounts};
pub use html::{page, span};
pub use key_id::KeyId;
pub use line_reader::{Line, LineReader};
pub use origin::Origin;
pub use remains::{Remaining, proofs, remaining};
pub use signature::{PublicKey, SIGNATURE_BYTES, SigningKey};
pub use timeline::Timeline;
