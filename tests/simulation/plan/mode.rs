//! The modes of the endpoint, and the replies that each gives.

use std::time::Duration;

use revoker::domain::{Blame, Failure, ResultLabel};

use crate::dice::Dice;

/// The longest that a call takes.
pub const LONGEST_CALL: Duration = Duration::from_secs(15);

/// What the endpoint, and the way to it, are like for a while.
#[derive(Debug, Clone, Copy)]
pub enum EndpointMode {
    /// Every call is answered.
    Fair,
    /// Answered late.
    Slow,
    /// So many of a hundred calls fail, each in its own way.
    Flaky(usize),
    /// Every call fails in this way.
    Outage(Failure),
    /// More calls than this at a time are refused.
    Busy(usize),
    /// Every job is rejected: a wrong secret, for instance.
    Condemning,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy)]
pub struct Reply {
    /// After how long.
    pub after: Duration,
    /// Whether the endpoint does what it was asked, whatever comes back.
    pub takes_effect: bool,
    pub says: Says,
}

/// What comes back of one call.
#[derive(Debug, Clone, Copy)]
pub enum Says {
    /// The endpoint's own word.
    Truth,
    /// The endpoint's own no.
    No,
    Failure(Failure),
    /// The worker itself breaks.
    Panic,
}

impl EndpointMode {
    /// What becomes of a call beside `others`.
    pub fn reply(self, others: usize, dice: &Dice) -> Reply {
        let quick = dice.up_to(Duration::from_millis(300));
        let truth = Reply { after: quick, takes_effect: true, says: Says::Truth };
        match self {
            Self::Slow => Reply { after: dice.up_to(Duration::from_secs(8)), ..truth },
            Self::Flaky(share) if dice.percent(share) => match dice.between(0, 15) {
                0 => Reply { says: Says::Panic, takes_effect: dice.one_in(2), ..truth },
                _ => fail(failure(dice), dice),
            },
            Self::Outage(failure) => fail(failure, dice),
            Self::Busy(most) if others >= most => {
                fail(answered(ResultLabel::Http429, 429, dice), dice)
            }
            Self::Condemning => Reply { takes_effect: false, says: Says::No, ..truth },
            Self::Fair | Self::Flaky(_) | Self::Busy(_) => truth,
        }
    }
}

/// A call that fails after the endpoint may have done what it was asked, if it is ambiguous.
pub fn fail(failure: Failure, dice: &Dice) -> Reply {
    let after = match failure.label {
        ResultLabel::Timeout => LONGEST_CALL,
        _ => dice.up_to(Duration::from_millis(500)),
    };
    Reply { after, takes_effect: failure.ambiguous && dice.one_in(2), says: Says::Failure(failure) }
}

/// The rows of the classifier's table that are no answer.
pub fn failure(dice: &Dice) -> Failure {
    match dice.between(0, 11) {
        0 => Failure::unanswered(ResultLabel::Connect, false),
        1 => Failure::unanswered(ResultLabel::Tls, false),
        2 | 10 => Failure::unanswered(ResultLabel::Timeout, true),
        3 | 4 => Failure::unanswered(ResultLabel::Reset, true),
        5 => answered(ResultLabel::Http429, 429, dice),
        6 => answered(ResultLabel::Http5xx, 503, dice),
        7 => answered(ResultLabel::Unrecognized, 200, dice),
        8 => answered(ResultLabel::Http3xx, 302, dice),
        9 => answered(ResultLabel::Http4xx, 404, dice),
        _ => Failure { blame: Blame::Job, ..answered(ResultLabel::Http5xx, 500, dice) },
    }
}

fn answered(label: ResultLabel, status: u16, dice: &Dice) -> Failure {
    let wishes = [None, Some(0), Some(1), Some(30), Some(86_400)];
    let may_wish = matches!(status, 429 | 503);
    Failure {
        label,
        ambiguous: matches!(label, ResultLabel::Http5xx | ResultLabel::Unrecognized),
        http_status: Some(status),
        retry_after: may_wish.then(|| dice.pick(&wishes)).flatten().map(Duration::from_secs),
        blame: Blame::Transport,
    }
}

/// Skies one after the other, until the calm.
pub fn draw(dice: &Dice, calm_after: Duration) -> Vec<(Duration, EndpointMode)> {
    let mut modes = Vec::new();
    let mut until = Duration::ZERO;
    while until < calm_after && modes.len() < 8 {
        until += dice.time(Duration::from_secs(1), calm_after);
        let mode = match dice.between(0, 9) {
            0 | 1 => EndpointMode::Fair,
            2 => EndpointMode::Slow,
            3..6 => EndpointMode::Flaky(dice.between(5, 80)),
            6 | 7 => EndpointMode::Outage(failure(dice)),
            8 => EndpointMode::Busy(dice.between(0, 2)),
            _ => EndpointMode::Condemning,
        };
        modes.push((until.min(calm_after), mode));
    }
    modes
}
