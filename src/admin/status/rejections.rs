//! The share of rejections among the recent answers, and what it means.

use std::fmt;

use super::history::{self, StatusHistory};
use crate::{
    domain::{ResultLabel, grouped},
    metrics::Snapshot,
};

/// Fewer rejections are never odd.
const LEAST: u64 = 20;

/// One rejection in so many answers is odd.
const ODD_SHARE: u64 = 4;

/// Rejections among the answers of the last minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejections {
    pub rejected: u64,
    pub answers: u64,
}

impl Rejections {
    pub fn of(history: &StatusHistory) -> Self {
        let rejected = |snapshot: &Snapshot| history::calls(snapshot, ResultLabel::Rejected);
        Self { rejected: history.grown(rejected), answers: history.grown(history::answers) }
    }

    /// Whether there are more than expired and unknown tokens usually cause.
    pub const fn are_odd(self) -> bool {
        self.rejected >= LEAST && self.rejected * ODD_SHARE >= self.answers
    }

    pub fn percent(self) -> String {
        match self.rejected * 1000 / self.answers.max(1) {
            0 if self.rejected > 0 => "below 0.1 %".to_owned(),
            tenths if tenths.is_multiple_of(10) => format!("{} %", tenths / 10),
            tenths => format!("{}.{} %", tenths / 10, tenths % 10),
        }
    }

    pub const fn meaning(self) -> &'static str {
        if self.are_odd() {
            "The endpoint does not know these tokens for their client. That is normal for tokens that are expired or \
             were revoked elsewhere. Otherwise the client's secret, the audience or the endpoint is a wrong one: the \
             causes below name the clients. Rejected jobs are kept, and can be replayed."
        } else {
            "A few rejections are normal: tokens that are expired, or were revoked elsewhere."
        }
    }
}

/// As in `500 of the last 800 answers were rejections`.
impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rejected, answers) = (grouped(self.rejected), grouped(self.answers));
        write!(f, "{rejected} of the last {answers} answers were rejections")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_rejections_are_odd() {
        for (rejected, answers, odd) in [
            (500, 800, true),
            (200, 800, true),
            (199, 800, false),
            (20, 20, true),
            (19, 19, false),
            (0, 0, false),
        ] {
            assert_eq!(Rejections { rejected, answers }.are_odd(), odd, "{rejected} of {answers}");
        }
    }

    #[test]
    fn the_share_is_told_in_percent() {
        let percent = |rejected, answers| Rejections { rejected, answers }.percent();
        assert_eq!(percent(500, 800), "62.5 %");
        assert_eq!(percent(400, 800), "50 %");
        assert_eq!(percent(1, 80_000), "below 0.1 %");
        assert_eq!(percent(0, 800), "0 %");
    }
}
