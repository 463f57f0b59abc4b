//! The sentence of a summary on expired jobs.

use std::fmt;

/// Jobs whose token has expired, so no call is made for them.
///
/// Nothing proves that these tokens are dead. One wrong column of dates can make a whole file look finished.
/// So every summary has a sentence on them, not only a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    count: u64,
    jobs: u64,
}

impl Expired {
    /// Returns `None` if no job has expired.
    pub fn of(count: u64, jobs: u64) -> Option<Self> {
        (count > 0).then_some(Self { count, jobs })
    }
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, jobs } = self;
        if count >= jobs {
            write!(
                f,
                "every job has expired by its expires_at ({count} of {jobs}), so no token is called for; \
                 check the year and the unit of expires_at, and leave it out if the tokens may be alive"
            )
        } else {
            write!(
                f,
                "{count} of {jobs} jobs have expired by their expires_at: their tokens are not called for, \
                 and nothing proves that they are dead"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_input_that_has_expired_is_told_as_suspicious() {
        let said = |count, jobs| Expired::of(count, jobs).map(|expired| expired.to_string());
        assert_eq!(said(0, 7), None);
        assert_eq!(said(0, 0), None);
        assert!(said(2, 7).unwrap().starts_with("2 of 7 jobs have expired"));
        assert!(
            said(7, 7).unwrap().starts_with("every job has expired by its expires_at (7 of 7)")
        );
    }
}
