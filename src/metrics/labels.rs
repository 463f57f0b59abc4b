//! The values of the metrics' labels: closed sets, so that no series depends on the content of messages.

use crate::domain::{CheckResult, Completion, Lane, Reason, ResultLabel};

/// A label whose values are all known in advance.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value, in the order of [`Label::index`].
    const ALL: &'static [Self];

    /// The value as it is exported.
    fn value(self) -> &'static str;

    /// The value's place in [`Label::ALL`].
    fn index(self) -> usize;
}

macro_rules! impl_label {
    ($label:ident = $name:literal, $all:expr, $value:expr) => {
        impl Label for $label {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = $all;

            fn value(self) -> &'static str {
                let value: fn(Self) -> &'static str = $value;
                value(self)
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

// Their `ALL` lists the variants in the order of declaration; a test checks that.
impl_label!(Lane = "lane", &Self::ALL, Self::as_str);
impl_label!(Reason = "reason", &Self::ALL, Self::as_str);
impl_label!(ResultLabel = "result", &Self::ALL, Self::as_str);
impl_label!(CheckResult = "result", &Self::ALL, Self::as_str);

/// Declares an enum, the label's name and each variant's value in one place. A variant's documentation begins with its
/// value.
macro_rules! labels {
    ($(
        $(#[$about:meta])*
        $vis:vis enum $label:ident = $name:literal {
            $($(#[$of:meta])* $variant:ident = $value:literal,)+
        }
    )+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $label {
            $(#[doc = concat!("`", $value, "`")] $(#[$of])* $variant,)+
        }

        impl_label!($label = $name, &[$(Self::$variant,)+], |label| match label {
            $($label::$variant => $value,)+
        });
    )+};
}

labels! {
    /// The outcome of a job.
    pub enum Processed = "outcome" {
        Revoked = "revoked",
        /// The endpoint accepted the request, without a statement about this token.
        Acknowledged = "acknowledged",
        /// The endpoint will revoke the token later.
        Accepted = "accepted",
        /// The token does not exist any more.
        Gone = "gone",
        /// Presumed revoked, by the operator's choice.
        PresumedRevoked = "presumed_revoked",
        /// This worker revoked the same token shortly before.
        Duplicate = "duplicate",
        Expired = "expired",
        DeadLettered = "dead_lettered",
    }

    /// The end of a delivery that did not end its job.
    pub enum Deferral = "how" {
        Parked = "parked",
        Requeued = "handed_back",
        /// Its session was lost: the broker delivers it again.
        Abandoned = "abandoned",
    }

    /// Whether the broker had delivered the message before.
    pub(super) enum Redelivered = "redelivered" {
        False = "false",
        True = "true",
    }

    /// Whether the endpoint itself answered a call.
    pub(super) enum Answer = "outcome" {
        /// The endpoint answered the job, with any answer.
        Answered = "answered",
        Failed = "failed",
    }

    /// The state of a job in flight.
    pub enum JobState = "state" {
        /// It waits for a permit.
        Waiting = "waiting",
        Calling = "calling",
        BackingOff = "backing_off",
        /// Its outcome is known and is being settled.
        Settling = "settling",
    }

    /// The cause of the end of a session with the broker.
    pub enum SessionEndReason = "ended_by" {
        ConnectFailed = "connect_failed",
        ConnectionLost = "connection_lost",
        ChannelClosed = "channel_closed",
        /// The broker cancelled a consumer, because its queue was deleted or moved, or delivered nothing.
        ConsumerCancelled = "consumer_cancelled",
        Shutdown = "shutdown",
    }

    /// The kind of queue that a message is published to.
    pub enum Target = "target" {
        DeadLetter = "dead_letter",
        Retry = "retry",
        /// The queue of outcome events.
        Outcome = "outcome",
    }

    /// The result of a publish.
    pub enum Published = "outcome" {
        Confirmed = "confirmed",
        Nacked = "nacked",
        /// The queue does not exist.
        Returned = "returned",
        TimedOut = "timed_out",
    }

    /// The part of a message that the client library could not have read.
    pub enum Mending = "what" {
        /// Text that is not UTF-8.
        Text = "text",
        /// Tables or arrays that are nested too deep.
        Nesting = "nesting",
        /// Headers that are larger than a frame.
        Size = "size",
    }

    /// The queue of a depth.
    pub enum Depth = "queue" {
        Interactive = "interactive",
        Bulk = "bulk",
        /// All retry queues together.
        Parked = "parked",
        Dead = "dead",
    }
}

impl From<Completion> for Processed {
    fn from(completion: Completion) -> Self {
        match completion {
            Completion::Revoked => Self::Revoked,
            Completion::Acknowledged => Self::Acknowledged,
            Completion::Accepted => Self::Accepted,
            Completion::Gone => Self::Gone,
            Completion::PresumedRevoked => Self::PresumedRevoked,
            Completion::Duplicate => Self::Duplicate,
            Completion::Expired => Self::Expired,
        }
    }
}

impl From<bool> for Redelivered {
    fn from(redelivered: bool) -> Self {
        if redelivered { Self::True } else { Self::False }
    }
}

impl From<ResultLabel> for Answer {
    fn from(result: ResultLabel) -> Self {
        if result.is_answer() { Self::Answered } else { Self::Failed }
    }
}

/// The labels of one metric: none, one or two.
pub trait LabelSet: Copy {
    const NAMES: &'static [&'static str];

    /// The values of every series, in the order of [`LabelSet::index`].
    fn every() -> Vec<Vec<&'static str>>;

    /// The series' place in [`LabelSet::every`].
    fn index(self) -> usize;
}

impl LabelSet for () {
    const NAMES: &'static [&'static str] = &[];

    fn every() -> Vec<Vec<&'static str>> {
        vec![Vec::new()]
    }

    fn index(self) -> usize {
        0
    }
}

impl<L: Label> LabelSet for L {
    const NAMES: &'static [&'static str] = &[L::NAME];

    fn every() -> Vec<Vec<&'static str>> {
        L::ALL.iter().map(|label| vec![label.value()]).collect()
    }

    fn index(self) -> usize {
        Label::index(self)
    }
}

impl<A: Label, B: Label> LabelSet for (A, B) {
    const NAMES: &'static [&'static str] = &[A::NAME, B::NAME];

    fn every() -> Vec<Vec<&'static str>> {
        let of = |a: &A| B::ALL.iter().map(|b| vec![a.value(), b.value()]).collect::<Vec<_>>();
        A::ALL.iter().flat_map(of).collect()
    }

    fn index(self) -> usize {
        Label::index(self.0) * B::ALL.len() + Label::index(self.1)
    }
}
