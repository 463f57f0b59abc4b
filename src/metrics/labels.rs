//! The values of the metrics' labels: closed sets, so that no series depends on the content of messages.

use crate::domain::{Lane, Reason, ResultLabel};

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

/// Makes enums of the domain labels. Their `ALL` lists the variants in the order of declaration; a test
/// checks that.
macro_rules! domain_labels {
    ($($label:ident = $name:literal;)+) => {$(
        impl Label for $label {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = &$label::ALL;

            fn value(self) -> &'static str {
                self.as_str()
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )+};
}

domain_labels! {
    Lane = "lane";
    Reason = "reason";
    ResultLabel = "result";
}

/// Declares an enum, the label's name and each variant's value in one place.
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
            $($(#[$of])* $variant,)+
        }

        impl Label for $label {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn value(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    )+};
}

labels! {
    /// How a job ended.
    pub enum Processed = "outcome" {
        /// The endpoint revoked the token.
        Revoked = "revoked",
        /// Presumed revoked, by the operator's choice.
        PresumedRevoked = "presumed_revoked",
        /// This worker had revoked the same token a short while before.
        Duplicate = "duplicate",
        /// The token expired.
        Expired = "expired",
        /// A dead letter was confirmed.
        DeadLettered = "dead_lettered",
    }

    /// How a delivery ended without ending its job.
    pub enum Deferral = "how" {
        /// The job waits in a retry queue.
        Parked = "parked",
        /// It was requeued.
        Requeued = "handed_back",
        /// Its session was lost; the broker delivers it again.
        Abandoned = "abandoned",
    }

    /// Whether the broker had delivered the message before.
    pub(super) enum Redelivered = "redelivered" {
        /// It had not.
        False = "false",
        /// It had.
        True = "true",
    }

    /// Whether the endpoint itself answered a call.
    pub(super) enum Answer = "outcome" {
        /// It did: revoked or rejected.
        Answered = "answered",
        /// There was another response, or none.
        Failed = "failed",
    }

    /// What a job in flight is doing.
    pub enum JobState = "state" {
        /// It waits for a permit.
        Waiting = "waiting",
        /// A call is under way.
        Calling = "calling",
        /// It waits for its next attempt.
        BackingOff = "backing_off",
        /// Its outcome is known and is being settled.
        Settling = "settling",
    }

    /// What ended a session with the broker.
    pub enum SessionEndReason = "ended_by" {
        /// It never came to be.
        ConnectFailed = "connect_failed",
        /// The connection broke or was closed.
        ConnectionLost = "connection_lost",
        /// The broker closed a channel.
        ChannelClosed = "channel_closed",
        /// The broker cancelled a consumer, as its queue was deleted or moved; or delivered it nothing of
        /// what waits.
        ConsumerCancelled = "consumer_cancelled",
        /// The worker stopped.
        Shutdown = "shutdown",
    }

    /// Where a message of ours goes.
    pub enum Target = "target" {
        /// The dead-letter queue.
        DeadLetter = "dead_letter",
        /// A retry queue.
        Retry = "retry",
    }

    /// What became of a message of ours.
    pub enum Published = "outcome" {
        /// The broker took it.
        Confirmed = "confirmed",
        /// The broker refused it.
        Nacked = "nacked",
        /// There was no queue for it.
        Returned = "returned",
        /// No confirm came in time.
        TimedOut = "timed_out",
    }

    /// The part of a message that the client library could not have read.
    pub enum Mending = "what" {
        /// Text that was no UTF-8.
        Text = "text",
        /// Tables or arrays that were nested too deep.
        Nesting = "nesting",
        /// Headers that were larger than a frame.
        Size = "size",
    }

    /// Which queue's depth.
    pub enum Depth = "queue" {
        /// The interactive lane's.
        Interactive = "interactive",
        /// The bulk lane's.
        Bulk = "bulk",
        /// All retry queues' together.
        Parked = "parked",
        /// The dead-letter queue's.
        Dead = "dead",
    }
}

impl From<bool> for Redelivered {
    fn from(redelivered: bool) -> Self {
        if redelivered { Self::True } else { Self::False }
    }
}

impl From<ResultLabel> for Answer {
    fn from(result: ResultLabel) -> Self {
        match result {
            ResultLabel::Revoked | ResultLabel::Rejected => Self::Answered,
            ResultLabel::Connect
            | ResultLabel::Tls
            | ResultLabel::Timeout
            | ResultLabel::Reset
            | ResultLabel::Http3xx
            | ResultLabel::Http408
            | ResultLabel::Http429
            | ResultLabel::Http5xx
            | ResultLabel::Http4xx
            | ResultLabel::Unrecognized => Self::Failed,
        }
    }
}

/// The labels of one metric: none, one or two.
pub trait LabelSet: Copy {
    /// The labels' names.
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
