//! The sentence of a summary on expired jobs.

/// Returns the sentence on `count` of `jobs` whose token has expired, so that no call is made for them; `None`
/// without any.
///
/// Nothing proves that these tokens are dead. One wrong column of dates can make a whole file look finished.
/// So every summary has a sentence on them, not only a count.
pub fn of_expired(count: u64, jobs: u64) -> Option<String> {
    match count {
        0 => None,
        _ if count >= jobs => Some(format!(
            "every job has expired by its expires_at ({count} of {jobs}), so no token is called for; check the \
             year and the unit of expires_at, and leave it out if the tokens may be alive"
        )),
        _ => Some(format!(
            "{count} of {jobs} jobs have expired by their expires_at: their tokens are not called for, and \
             nothing proves that they are dead"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_input_that_has_expired_is_reported_as_suspicious() {
        let said = |count, jobs| of_expired(count, jobs);
        assert_eq!(said(0, 7), None);
        assert_eq!(said(0, 0), None);
        assert!(said(2, 7).unwrap().starts_with("2 of 7 jobs have expired"));
        assert!(
            said(7, 7).unwrap().starts_with("every job has expired by its expires_at (7 of 7)")
        );
    }
}
