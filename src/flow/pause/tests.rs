//! Scenarios as data: what calls show, second by second, and the phase that follows.

use super::*;

use Evidence::{Rejected, Revoked};

const SECOND: Duration = Duration::from_secs(1);

const FAILED: Evidence =
    Evidence::Failed { overload: false, busy: false, own_trouble: false, retry_after: None };
const OWN_TROUBLE: Evidence =
    Evidence::Failed { overload: false, busy: false, own_trouble: true, retry_after: None };

const fn retry_after(seconds: u64) -> Evidence {
    Evidence::Failed {
        overload: true,
        busy: true,
        own_trouble: false,
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

/// What happens, and when, in seconds since the start.
enum Step {
    /// A call that was under way showed this.
    Call(u64, Evidence),
    /// The probe may start; it does, and shows this.
    Probe(u64, Evidence),
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
        sentence: "A job's own trouble is no evidence of weather, however often it comes.",
        after_rejections: None,
        steps: &[
            Call(0, OWN_TROUBLE),
            Call(0, OWN_TROUBLE),
            Call(0, OWN_TROUBLE),
            Call(0, OWN_TROUBLE),
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
];

#[test]
fn scenarios() {
    for Scenario { sentence, after_rejections, steps } in SCENARIOS {
        let start = Instant::now();
        let mut weather = Weather::new(PauseSettings {
            after_failures: 3,
            probe_initial: SECOND,
            probe_max: SECOND * 4,
            after_rejections: *after_rejections,
        });
        for (number, step) in steps.iter().enumerate() {
            let place = format!("{sentence} (step {number})");
            match step {
                Call(at, evidence) => {
                    weather.saw(evidence, false, start + SECOND * u32::try_from(*at).unwrap());
                }
                Probe(at, evidence) => {
                    let now = start + SECOND * u32::try_from(*at).unwrap();
                    assert!(weather.may_start(now), "{place}: no probe may start");
                    assert!(weather.started(), "{place}: not a probe");
                    assert!(!weather.may_start(now), "{place}: a second probe may start");
                    weather.saw(evidence, true, now);
                }
                Still(at) => {
                    let now = start + SECOND * u32::try_from(*at).unwrap();
                    assert!(!weather.may_start(now), "{place}: a call may start");
                }
                Running(at) => {
                    let now = start + SECOND * u32::try_from(*at).unwrap();
                    assert_eq!(weather.phase(now), Phase::Running, "{place}");
                    assert!(weather.may_start(now), "{place}");
                }
            }
        }
    }
}

#[test]
fn a_probe_that_was_never_called_leaves_its_turn_to_the_next() {
    let start = Instant::now();
    let mut weather = Weather::new(PauseSettings {
        after_failures: 1,
        probe_initial: SECOND,
        probe_max: SECOND,
        after_rejections: None,
    });
    weather.saw(&FAILED, false, start);
    assert!(weather.may_start(start + SECOND));
    assert!(weather.started());
    weather.probe_unused();
    assert!(weather.may_start(start + SECOND), "at once");
}
