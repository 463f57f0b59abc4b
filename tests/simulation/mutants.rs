//! Broken workers: each breaks one promise, where a port or the wiring lets it. A simulation that does
//! not catch them proves nothing.

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Acks a dead letter or a parked job before its queue has confirmed it.
    AcksBeforeConfirm,
    /// Forgets to tell the broker that a job is done.
    LosesSettlements,
    /// Acks the next delivery beside its own.
    AcksTheNeighbour,
    /// Acks in the present session what came in a lost one.
    AcksAcrossSessions,
    /// Says that a settlement took place whatever became of it.
    MisreportsSettlements,
    /// Takes a dead letter for confirmed that was never published.
    TakesSilenceForConfirm,
    /// Leaves to the broker what it cannot publish, in lanes that somebody else has declared.
    TrustsForeignLanes,
    /// Forgets in a retry queue that an attempt may have worked.
    ForgetsAmbiguity,
    /// Believes a past without looking at its MAC.
    BelievesStrangers,
    /// Takes any 2xx for a success.
    TakesAFailureForSuccess,
    /// Takes an answer without an envelope for a rejection.
    TakesAFailureForRejection,
    /// Does not hear `Retry-After`.
    IgnoresRetryAfter,
    /// Makes one call more at a time than it may.
    ExceedsTheLimit,
    /// Remembers no revoked token.
    ForgetsDuplicates,
    /// Tries in flight what has failed for longer than the hold.
    OutstaysTheHold,
    /// Its clock is slow, so it calls for tokens that have died.
    ReadsASlowClock,
    /// Does not notice that a session is lost.
    MissesLostSessions,
    /// Ends without waiting for what is in flight.
    LeavesTooSoon,
    /// Forgets in a retry queue how long calls were paused, and so counts a pause as failing.
    CountsAPauseAsFailing,
    /// Takes all clients for one, and pauses all of them for it.
    TakesAllClientsForOne,
    /// Takes two clients for one, so that the jobs of one stand before those of the other.
    LetsOneClientHoldAllPlaces,
    /// Mistakes each second job of a client for one of another, and probes the same client again.
    ProbesTheSameClientAgain,
}

impl Mutant {
    pub const ALL: [Self; 22] = [
        Self::AcksBeforeConfirm,
        Self::LosesSettlements,
        Self::AcksTheNeighbour,
        Self::AcksAcrossSessions,
        Self::MisreportsSettlements,
        Self::TakesSilenceForConfirm,
        Self::TrustsForeignLanes,
        Self::ForgetsAmbiguity,
        Self::BelievesStrangers,
        Self::TakesAFailureForSuccess,
        Self::TakesAFailureForRejection,
        Self::IgnoresRetryAfter,
        Self::ExceedsTheLimit,
        Self::ForgetsDuplicates,
        Self::OutstaysTheHold,
        Self::ReadsASlowClock,
        Self::MissesLostSessions,
        Self::LeavesTooSoon,
        Self::CountsAPauseAsFailing,
        Self::TakesAllClientsForOne,
        Self::LetsOneClientHoldAllPlaces,
        Self::ProbesTheSameClientAgain,
    ];
}
