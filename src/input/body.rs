//! The bytes of a job, which hold its token.

use std::fmt;

/// A job as one JSON object, as it goes on a queue.
pub struct JobBody(Vec<u8>);

impl JobBody {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Shows only the length.
impl fmt::Debug for JobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}
