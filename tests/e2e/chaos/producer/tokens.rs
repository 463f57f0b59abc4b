//! Tokens that are valid and look as if they were not.

use super::{BadJob, Class};
use crate::harness::Message;

/// Characters that would end a line, a string or a header, control a terminal, or be trimmed.
const CONTROLS: &str = " \0\u{1}\t\r\nx-evil: 1\r\n\u{1b}[2J\u{7f}\u{85}\u{2028}\u{202e}\"\\' ";

/// The call contains the token byte for byte.
pub const CONTROL_CHARACTERS: BadJob = BadJob {
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
