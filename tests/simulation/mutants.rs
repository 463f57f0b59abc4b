//! Mutants: broken workers that each violate one guarantee. A simulation that does not detect them proves nothing.

/// The kinds of mutants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Acks a dead letter or a parked job before its queue has confirmed it.
    AcksBeforeConfirm,
    /// Acks a job that is done before its outcome event is confirmed.
    AcksBeforeItsEvent,
    /// Does not report a finished job to the broker.
    LosesSettlements,
    /// Acks the next delivery in addition to its own.
    AcksTheNeighbour,
    /// Acks deliveries of a lost session in the present one.
    AcksAcrossSessions,
    /// Reports every settlement as done, with any result.
    MisreportsSettlements,
    /// Treats a dead letter as confirmed that was never published.
    TakesSilenceForConfirm,
    /// Leaves unpublishable messages to the broker, in lanes that another user declared.
    TrustsForeignLanes,
    /// Loses the ambiguity of a parked job.
    ForgetsAmbiguity,
    /// Accepts a history without checking its MAC.
    BelievesStrangers,
    /// Treats any 2xx as a success.
    TakesAFailureForSuccess,
    /// Treats an answer without an envelope as a rejection.
    TakesAFailureForRejection,
    /// Ignores `Retry-After`.
    IgnoresRetryAfter,
    /// Exceeds the limit by one call.
    ExceedsTheLimit,
    /// Remembers no revoked token.
    ForgetsDuplicates,
    /// Retries a job in flight that has failed for longer than the hold.
    OutstaysTheHold,
    /// Has a slow clock, so it calls for expired tokens.
    ReadsASlowClock,
    /// Does not notice that a session is lost.
    MissesLostSessions,
    /// Ends without waiting for jobs in flight.
    LeavesTooSoon,
    /// Loses the pauses of a parked job, and so counts a pause as failing.
    CountsAPauseAsFailing,
    /// Treats all clients as one, and pauses all of them.
    TakesAllClientsForOne,
    /// Treats two clients as one, so that one client's jobs delay the other's.
    LetsOneClientHoldAllPlaces,
    /// Assigns each second job of a client to another client, and so probes the same client again.
    ProbesTheSameClientAgain,
}

impl Mutant {
    pub const ALL: [Self; 23] = [
        Self::AcksBeforeConfirm,
        Self::AcksBeforeItsEvent,
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
