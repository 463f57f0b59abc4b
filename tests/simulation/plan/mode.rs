//! The modes of the endpoint, and the replies that each gives.

use std::time::Duration;

use revoker::domain::{Blame, Failure, ResultLabel};

use crate::dice::Dice;

/// The longest that a call takes.
pub const LONGEST_CALL: Duration = Duration::from_secs(15);

/// The behaviour of the endpoint and the network for a while.
#[derive(Debug, Clone, Copy)]
pub enum EndpointMode {
    /// Every call is answered.
    Fair,
    /// Answered late.
    Slow,
    /// This percentage of calls fails, each with a random failure.
    Flaky(usize),
    /// Every call fails in this way.
    Outage(Failure),
    /// More calls than this at a time are refused.
    Busy(usize),
    /// Every job is rejected: a wrong secret, for instance.
    Condemning,
}

/// The reply to one call.
#[derive(Debug, Clone, Copy)]
pub struct Reply {
    /// The delay of the reply.
    pub after: Duration,
    /// Whether the endpoint revokes the token, with any reply.
    pub takes_effect: bool,
    pub says: Says,
}

/// The content of a reply.
#[derive(Debug, Clone, Copy)]
pub enum Says {
    /// The endpoint's true answer.
    Truth,
    /// The endpoint's rejection.
    No,
    Failure(Failure),
    /// The worker panics.
    Panic,
}

impl EndpointMode {
    /// The reply to a call beside `others` in flight.
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

/// A failed call. If it is ambiguous, the endpoint may have revoked the token.
pub fn fail(failure: Failure, dice: &Dice) -> Reply {
    let after = match failure.label {
        ResultLabel::Timeout => LONGEST_CALL,
        _ => dice.up_to(Duration::from_millis(500)),
    };
    Reply { after, takes_effect: failure.ambiguous && dice.one_in(2), says: Says::Failure(failure) }
}

/// A random failure from the classifier's table.
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
    let ambiguous = matches!(label, ResultLabel::Http5xx | ResultLabel::Unrecognized);
    Failure {
        http_status: Some(status),
        retry_after: may_wish.then(|| dice.pick(&wishes)).flatten().map(Duration::from_secs),
        ..Failure::unanswered(label, ambiguous)
    }
}

/// Random modes in sequence, until `calm_after`.
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
