use proptest::prelude::*;
use serde::Deserialize;

use super::{
    simulation::{Phase, STRAGGLER, play},
    *,
};

mod properties;

/// The number of seeds for a scenario with random parts.
const SEEDS: u64 = 3;

/// The least throughput, in per cent of the best fixed limit's.
const LEAST_THROUGHPUT: u64 = 90;

/// The most refused calls, in per cent of all calls.
const MOST_REFUSED: u64 = 2;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenarios {
    scenario: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    story: String,
    #[serde(default = "one")]
    min: usize,
    max: usize,
    #[serde(default = "yes")]
    adaptive: bool,
    phase: Vec<Phase>,
}

const fn one() -> usize {
    1
}

const fn yes() -> bool {
    true
}

#[test]
fn scenarios() {
    let Scenarios { scenario } = toml::from_str(include_str!("scenarios.toml")).unwrap();
    let mut failures = Vec::new();
    for scenario in scenario {
        let seeds = if scenario.phase.iter().all(Phase::is_certain) { 1 } else { SEEDS };
        failures.extend((0..seeds).flat_map(|seed| scenario.run(seed)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

impl Scenario {
    /// Prints the measurements, and returns the violated expectations.
    fn run(&self, seed: u64) -> Vec<String> {
        println!("{} (seed {seed})", self.story);
        let phases =
            play(&self.phase, ConcurrencyLimit::new(self.min, self.max, self.adaptive), seed);
        let mut failures = Vec::new();
        for (index, (phase, seen)) in self.phase.iter().zip(&phases).enumerate() {
            let expect = &phase.expect;
            let throughput = expect.best_fixed.map(|best| {
                let fixed = play(&self.phase, ConcurrencyLimit::new(best, best, false), seed);
                seen.answered * 100 / fixed[index].answered
            });
            println!(
                "  phase {index}: {seen:?}, per cent of the best fixed limit's: {throughput:?}"
            );
            let mut check = |holds: bool, what: &str| {
                if !holds {
                    failures.push(format!(
                        "{} Seed {seed}, phase {index}: {what}: {seen:?}",
                        self.story
                    ));
                }
            };
            let [least, most] = expect.limit;
            check(seen.limit[0] >= least && seen.limit[1] <= most, "limit");
            check(expect.dips_to.is_none_or(|dip| seen.dip <= dip), "no dip");
            check(throughput.is_none_or(|percent| percent >= LEAST_THROUGHPUT), "throughput");
            let calls = seen.answered + seen.refused;
            check(
                !self.adaptive
                    || phase.has_noise()
                    || self.min == self.max
                    || seen.refused * 100 <= calls * MOST_REFUSED,
                "refusals",
            );
            check(
                (phase.has_refusals() || phase.has_noise()) == (seen.refused > 0),
                "what was to be refused",
            );
            let straggled = seen.slowest >= Duration::from_micros(STRAGGLER);
            check(phase.has_stragglers() == straggled, "what was to straggle");
        }
        failures
    }
}

const CALL: Duration = Duration::from_millis(50);

const ANSWERED: Sample = Sample::Answered { latency: CALL };

/// Starts as many calls as the limit allows.
fn fill(limit: &mut ConcurrencyLimit) -> Vec<u64> {
    (1..=limit.current()).map(|running| limit.started(running)).collect()
}

/// Fills the limit and answers, until it is `target`.
fn grow(limit: &mut ConcurrencyLimit, target: usize) {
    while limit.current() < target {
        for number in fill(limit) {
            limit.ended(number, ANSWERED);
        }
    }
}

#[test]
fn a_burst_of_refusals_counts_once() {
    let mut limit = ConcurrencyLimit::new(1, 100, true);
    grow(&mut limit, 64);
    let burst = fill(&mut limit);
    for number in burst {
        limit.ended(number, Sample::Overload { after: CALL });
    }
    assert_eq!(limit.current(), 32, "fast start ends at the last good limit");
    let burst = fill(&mut limit);
    for number in burst {
        limit.ended(number, Sample::Overload { after: CALL });
    }
    assert_eq!(limit.current(), 28);
}

/// One round: fills the limit, and every call is answered.
fn round(limit: &mut ConcurrencyLimit) -> usize {
    for number in fill(limit) {
        limit.ended(number, ANSWERED);
    }
    limit.current()
}

/// Fills the limit, and every call is refused.
fn refuse(limit: &mut ConcurrencyLimit) {
    for number in fill(limit) {
        limit.ended(number, Sample::Overload { after: CALL });
    }
}

/// Answers calls until the trial confirms the lower limit.
fn prove(limit: &mut ConcurrencyLimit) {
    while limit.trial.is_some() {
        for number in fill(limit) {
            limit.ended(number, ANSWERED);
        }
    }
}

/// A limit after fast start that met an overload at `at`.
fn refused(at: usize) -> ConcurrencyLimit {
    let mut limit = ConcurrencyLimit::new(1, 10_000, true);
    grow(&mut limit, at);
    refuse(&mut limit);
    prove(&mut limit);
    limit
}

#[test]
fn after_a_calm_stretch_the_limit_leaps() {
    let mut limit = refused(512);
    limit.refused_at = None;
    let calm: Vec<usize> = (0..CALM_ROUNDS).map(|_| round(&mut limit)).collect();
    assert_eq!(calm, (257..=264).collect::<Vec<_>>());
    assert_eq!(round(&mut limit), 264 + 264 / LEAP);
    assert_eq!(round(&mut limit), 290 + 290 / LEAP);
}

#[test]
fn a_decrease_and_a_round_that_does_not_reach_the_limit_end_the_calm() {
    for ends_it in ["refused", "idle", "resumed"] {
        let mut limit = refused(512);
        limit.refused_at = None;
        grow(&mut limit, 256 + CALM_ROUNDS);
        match ends_it {
            "refused" => {
                refuse(&mut limit);
                prove(&mut limit);
                limit.refused_at = None;
            }
            "idle" => {
                for _ in 0..limit.current() {
                    let number = limit.started(1);
                    limit.ended(number, ANSWERED);
                }
            }
            _ => {
                limit.resume();
                limit.starting = false;
                limit.current = 100;
            }
        }
        let before = limit.current();
        grow(&mut limit, before + 1);
        assert_eq!(limit.current(), before + 1, "{ends_it}");
    }
}

#[test]
fn an_overloaded_limit_is_approached_by_halves_then_one_by_one() {
    let mut limit = refused(512);
    grow(&mut limit, 256 + CALM_ROUNDS);
    let mut steps = Vec::new();
    while limit.current() < 512 + 2 {
        let before = limit.current();
        steps.push(round(&mut limit) - before);
    }
    // The limit grows by a tenth, while that is less than half of the distance.
    assert_eq!(steps[..6], [26, 29, 31, 35, 38, 42][..], "{steps:?}");
    assert_eq!(steps[6..], [23, 12, 6, 3, 1, 1, 1, 1, 1][..], "{steps:?}");
}

#[test]
fn one_straggler_in_every_round_is_no_rise() {
    let mut limit = ConcurrencyLimit::new(1, 100, true);
    grow(&mut limit, 64);
    let straggled = Sample::Answered { latency: 200 * CALL };
    for _ in 0..100 {
        let before = limit.current();
        for (index, number) in fill(&mut limit).into_iter().enumerate() {
            limit.ended(number, if index == 0 { straggled } else { ANSWERED });
        }
        assert!(limit.current() >= before);
    }
    assert_eq!(limit.current(), 100);
}

#[test]
fn a_failure_that_is_no_evidence_of_load_changes_nothing() {
    let mut limit = ConcurrencyLimit::new(1, 100, true);
    grow(&mut limit, 64);
    for number in fill(&mut limit) {
        limit.ended(number, Sample::Unknown);
    }
    assert_eq!(limit.current(), 64);
}

/// Starts as many calls as the limit allows, and answers each after this latency.
fn answer_all(limit: &mut ConcurrencyLimit, latency: Duration) {
    let numbers: Vec<_> = (1..=limit.current()).map(|running| limit.started(running)).collect();
    for number in numbers {
        limit.ended(number, Sample::Answered { latency });
    }
}

/// A doubling opens as many connections, which may take a while. So one slow round does not end fast start, but a
/// second one does.
#[test]
fn one_slow_round_does_not_end_fast_start() {
    const USUAL: Duration = Duration::from_millis(50);
    const SLOW: Duration = Duration::from_millis(200);
    let mut limit = ConcurrencyLimit::new(1, 256, true);
    while limit.current() < 64 {
        answer_all(&mut limit, USUAL);
    }
    answer_all(&mut limit, SLOW);
    assert_eq!(limit.current(), 64, "neither raised nor lowered");
    answer_all(&mut limit, USUAL);
    answer_all(&mut limit, USUAL);
    assert_eq!((limit.current(), limit.reason()), (256, LimitReason::Ceiling));

    let mut limit = ConcurrencyLimit::new(1, 256, true);
    while limit.current() < 64 {
        answer_all(&mut limit, USUAL);
    }
    answer_all(&mut limit, SLOW);
    answer_all(&mut limit, SLOW);
    assert_eq!((limit.current(), limit.reason()), (32, LimitReason::Latency));
}

#[test]
fn a_low_ceiling_is_left_where_latency_has_risen_for_good() {
    const USUAL: Duration = Duration::from_millis(50);
    const SLOW: Duration = Duration::from_millis(200);
    for ceiling in [4, 8, 30, 31, 64] {
        let mut limit = ConcurrencyLimit::new(1, ceiling, true);
        (0..30).for_each(|_| answer_all(&mut limit, USUAL));
        assert_eq!(limit.current(), ceiling);
        let mut least = ceiling;
        for _ in 0..30 {
            answer_all(&mut limit, SLOW);
            least = least.min(limit.current());
        }
        assert!(least < ceiling, "{ceiling}: latency that stays high does not lower the limit");
    }
}

#[test]
fn a_pause_ends_at_the_floor_in_fast_start() {
    let mut limit = ConcurrencyLimit::new(2, 100, true);
    grow(&mut limit, 64);
    let before = fill(&mut limit);
    limit.resume();
    assert_eq!(limit.current(), 2);
    for number in before {
        limit.ended(number, Sample::Overload { after: CALL });
    }
    for number in fill(&mut limit) {
        limit.ended(number, ANSWERED);
    }
    assert_eq!(limit.current(), 4, "what began before the pause no longer counts");
}

#[test]
fn a_pause_leaves_a_fixed_limit_alone() {
    let mut limit = ConcurrencyLimit::new(2, 100, false);
    limit.resume();
    assert_eq!(limit.current(), 100);
}

#[test]
fn a_floor_of_zero_or_above_the_ceiling_is_put_right() {
    assert_eq!(ConcurrencyLimit::new(0, 10, true).current(), 1);
    assert_eq!(ConcurrencyLimit::new(20, 10, true).current(), 20);
    assert_eq!(ConcurrencyLimit::new(0, 0, false).current(), 1);
}

#[test]
fn no_call_allocates_once_the_limit_has_been_reached() {
    let mut limit = ConcurrencyLimit::new(1, 100, true);
    grow(&mut limit, 100);
    let round = |limit: &mut ConcurrencyLimit| {
        for _ in 0..2 * PATIENCE {
            let running = limit.current();
            let number = limit.started(running);
            limit.ended(number, ANSWERED);
        }
        limit.latencies.capacity()
    };
    let capacity = round(&mut limit);
    for _ in 0..10 {
        assert_eq!(round(&mut limit), capacity);
    }
}

#[test]
fn overload_as_frequent_under_a_lower_limit_undoes_the_decrease() {
    let mut limit = ConcurrencyLimit::new(1, 1000, true);
    grow(&mut limit, 512);
    let mut lowered = false;
    // From now on, one call in four is overloaded.
    for _ in 0..20 {
        for (index, number) in fill(&mut limit).into_iter().enumerate() {
            let refused = Sample::Overload { after: CALL };
            limit.ended(number, if index % 4 == 0 { refused } else { ANSWERED });
            lowered |= limit.trial.is_some();
        }
    }
    assert!(lowered, "it was tried");
    assert_eq!(limit.current(), 1000);
}

#[test]
fn one_overload_response_among_many_answers_changes_nothing() {
    let mut limit = ConcurrencyLimit::new(1, 64, true);
    grow(&mut limit, 64);
    let mut calls = fill(&mut limit);
    limit.ended(calls.pop().unwrap(), Sample::Overload { after: CALL });
    assert_eq!(limit.current(), 64);
}
