//! Scenarios as data: the outcomes of calls by the second, and the resulting phases.

use super::*;

/// A step of a scenario. Times are in seconds since the start.
enum Step {
    /// A running call ends with this outcome.
    Call(u64, CallOutcome),
    /// The probe starts, and ends with this outcome.
    Probe(u64, CallOutcome),
    /// No call may start.
    Still(u64),
    /// Calls may start.
    Running(u64),
}

use Step::{Call, Probe, Running, Still};

struct Scenario {
    sentence: &'static str,
    after_rejections: Option<u32>,
    steps: &'static [Step],
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        sentence: "So many failures in a row pause; one fewer does not.",
        after_rejections: None,
        steps: &[Call(0, FAILED), Call(0, FAILED), Running(0), Call(0, FAILED), Still(0)],
    },
    Scenario {
        sentence: "Any answer in between starts the count anew.",
        after_rejections: None,
        steps: &[
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, Rejected),
            Call(0, FAILED),
            Call(0, FAILED),
            Running(0),
            Call(0, Revoked),
            Call(0, FAILED),
            Call(0, FAILED),
            Running(0),
        ],
    },
    Scenario {
        sentence: "A fault of one job is no evidence of an outage, however often it comes.",
        after_rejections: None,
        steps: &[
            Call(0, JOB_FAULT),
            Call(0, JOB_FAULT),
            Call(0, JOB_FAULT),
            Call(0, JOB_FAULT),
            Running(0),
        ],
    },
    Scenario {
        sentence: "Probes go out one at a time, on an interval that doubles up to its cap.",
        after_rejections: None,
        steps: &[
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, FAILED),
            Still(0),
            Probe(1, FAILED),
            Still(2),
            Probe(3, FAILED),
            Still(6),
            Probe(7, FAILED),
            Still(10),
            Probe(11, FAILED),
            Probe(15, FAILED),
        ],
    },
    Scenario {
        sentence: "A probe that is answered, even by a rejection, ends the pause.",
        after_rejections: None,
        steps: &[
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, FAILED),
            Probe(1, FAILED),
            Probe(3, Rejected),
            Running(3),
        ],
    },
    Scenario {
        sentence: "A late answer of a call from before the pause ends it as well.",
        after_rejections: None,
        steps: &[Call(0, FAILED), Call(0, FAILED), Call(0, FAILED), Call(0, Revoked), Running(0)],
    },
    Scenario {
        sentence: "Late failures of calls from before the pause neither lengthen it nor probe.",
        after_rejections: None,
        steps: &[
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, FAILED),
            Still(0),
            Probe(1, Revoked),
            Running(1),
        ],
    },
    Scenario {
        sentence: "The first probe waits for as long as the server asked.",
        after_rejections: None,
        steps: &[
            Call(0, FAILED),
            Call(0, retry_after(5)),
            Call(0, FAILED),
            Still(4),
            Probe(5, Revoked),
            Running(5),
        ],
    },
    Scenario {
        sentence: "Rejections alone pause nothing unless the operator asked for it.",
        after_rejections: None,
        steps: &[Call(0, Rejected), Call(0, Rejected), Call(0, Rejected), Running(0)],
    },
    Scenario {
        sentence: "So many rejections in a row pause, if asked; only a success resumes.",
        after_rejections: Some(2),
        steps: &[
            Call(0, Rejected),
            Call(0, FAILED),
            Running(0),
            Call(0, Rejected),
            Still(0),
            Probe(1, Rejected),
            Still(2),
            Probe(3, FAILED),
            Still(6),
            Probe(7, Revoked),
            Running(7),
        ],
    },
    Scenario {
        sentence: "A success in between starts the count of rejections anew.",
        after_rejections: Some(2),
        steps: &[Call(0, Rejected), Call(0, Revoked), Call(0, Rejected), Running(0)],
    },
    Scenario {
        sentence: "Three refusals of the client in a row pause; any other answer ends that.",
        after_rejections: None,
        steps: &[
            Call(0, Refused),
            Call(0, Refused),
            Call(0, Revoked),
            Call(0, Refused),
            Call(0, Refused),
            Running(0),
            Call(0, Refused),
            Still(0),
            Probe(1, Refused),
            Still(2),
            Probe(3, FAILED),
            Still(6),
            Probe(7, Rejected),
            Running(7),
        ],
    },
    Scenario {
        sentence: "A refusal shows that the endpoint works: it ends a pause for failures.",
        after_rejections: None,
        steps: &[
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, FAILED),
            Still(0),
            Probe(1, Refused),
            Running(1),
        ],
    },
    Scenario {
        sentence: "A client without an access token says nothing about the endpoint: no pause begins or ends by it.",
        after_rejections: None,
        steps: &[
            Call(0, FAILED),
            Call(0, FAILED),
            Call(0, NoAccess),
            Running(0),
            Call(0, FAILED),
            Still(0),
            Probe(1, NoAccess),
            Still(2),
            Probe(3, Revoked),
            Running(3),
        ],
    },
];

#[test]
fn scenarios() {
    for Scenario { sentence, after_rejections, steps } in SCENARIOS {
        let start = Instant::now();
        let mut breakers = Breakers::new(PauseSettings {
            after_failures: 3,
            probe_initial: SECOND,
            probe_max: SECOND * 4,
            after_rejections: *after_rejections,
            first_rejections: 0,
            expected_rejections: 0,
        });
        for (number, step) in steps.iter().enumerate() {
            let place = format!("{sentence} (step {number})");
            match step {
                Call(at, outcome) => {
                    let now = start + SECOND * u32::try_from(*at).unwrap();
                    breakers.started(A, CallRole::Regular, now);
                    breakers.call_ended(
                        (A, CallRole::Regular, 0),
                        Duration::ZERO,
                        outcome,
                        false,
                        now,
                    );
                }
                Probe(at, outcome) => {
                    let now = start + SECOND * u32::try_from(*at).unwrap();
                    let role = breakers.may_start(A, now).expect(&place);
                    assert_ne!(role, CallRole::Regular, "{place}: not a probe");
                    breakers.started(A, role, now);
                    assert_eq!(breakers.may_start(A, now), None, "{place}: a second probe");
                    breakers.call_ended((A, role, 0), Duration::ZERO, outcome, false, now);
                }
                Still(at) => {
                    let now = start + SECOND * u32::try_from(*at).unwrap();
                    assert_eq!(breakers.may_start(A, now), None, "{place}: a call may start");
                }
                Running(at) => {
                    let now = start + SECOND * u32::try_from(*at).unwrap();
                    assert_eq!(breakers.phase(now), Phase::Running, "{place}");
                    assert_eq!(breakers.may_start(A, now), Some(CallRole::Regular), "{place}");
                }
            }
        }
    }
}
