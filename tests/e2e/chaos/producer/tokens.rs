//! Tokens that are valid and look as if they were not.

use super::{Class, Nuisance};
use crate::harness::Message;

/// What would end a line, a string or a header, drive a terminal, or vanish when trimmed.
const CONTROLS: &str = " \0\u{1}\t\r\nx-evil: 1\r\n\u{1b}[2J\u{7f}\u{85}\u{2028}\u{202e}\"\\' ";

/// Called for byte for byte as it was sent.
pub const CONTROL_CHARACTERS: Nuisance = Nuisance {
    fault: "control characters in tokens",
    token: |token| format!("{CONTROLS}{token}{CONTROLS}"),
    message: Message::job,
    class: Class::Job,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: part of make chaos"]
async fn control_characters() {
    CONTROL_CHARACTERS.run(crate::chaos::sized(20, 500)).await;
}
