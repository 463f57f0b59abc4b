//! Simulates a worker. Pipeline, flow and settlements are real. The broker, the endpoint, producers and the clock exist
//! only in memory. Faults are random from a seed, time is virtual, and one thread runs all tasks. So a seed always
//! gives the same schedule. Every schedule is checked against the rules of `witness`.
//!
//! `REVOKER_SEED` is the first seed and `REVOKER_SCHEDULES` the number of schedules, each with the next seed. Without
//! them, a short run uses fixed seeds, then as many new random ones.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets what it cannot handle has failed"
)]

mod broker;
mod campaign;
mod clock;
mod delivery;
mod dice;
mod endpoint;
mod life;
mod mutants;
mod plan;
mod schedule;
mod witness;
mod world;

use std::{env, time::Instant};

use mutants::Mutant;
use schedule::play;
use witness::Tally;

/// The first of the fixed seeds.
const FIXED_SEED: u64 = 1;

/// Schedules of the short run, from each of its two first seeds.
const SHORT_CUT: u64 = 200;

/// The number of schedules within which every mutant is detected and every expected event has happened.
const ENOUGH: u64 = 2000;

/// Characters that are shown of the rule that a mutant breaks.
const SHOWN: usize = 90;

/// The events that schedules must contain.
const HAPPENS: [(&str, &[&str]); 7] = [
    (
        "call",
        &[
            "revoked",
            "rejected",
            "connect",
            "tls",
            "timeout",
            "reset",
            "http_3xx",
            "http_429",
            "http_5xx",
            "http_4xx",
            "unrecognized",
            "panic",
        ],
    ),
    ("delivery", &["delivered", "acked", "requeued", "dead-lettered"]),
    (
        "letter",
        &[
            "stored",
            "refused",
            "unpublishable",
            "confirm lost",
            "event stored",
            "event unpublishable",
        ],
    ),
    ("session", &["closed", "lost", "half open"]),
    (
        "settlement",
        &[
            "revoked",
            "presumed_revoked",
            "duplicate",
            "expired",
            "rejected",
            "rejected_after_ambiguity",
            "invalid_job",
            "unknown_client",
            "exhausted",
            "internal_error",
            "left to the broker",
            "parked",
            "requeued",
            "abandoned",
            "given up",
        ],
    ),
    (
        "fault",
        &[
            "broker down",
            "clock stepped",
            "dead-letter queue refuses",
            "published twice",
            "publishing blocked",
            "retry queues refuse",
            "secret withdrawn",
        ],
    ),
    ("worker", &["started", "killed", "terminated", "cut off", "books compared"]),
];

/// A number from an environment variable.
fn given(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

fn campaign(first: u64, schedules: u64) -> Tally {
    let began = Instant::now();
    println!("{schedules} schedules from seed {first}");
    let tally = campaign::run(first, schedules).unwrap_or_else(|story| panic!("{story}"));
    println!("{schedules} schedules from seed {first} in {:.1} s", began.elapsed().as_secs_f64());
    tally
}

/// The expected events that did not happen.
fn missing(tally: &Tally) -> Vec<(&'static str, &'static str)> {
    let all = HAPPENS.into_iter().flat_map(|(kind, all)| all.iter().map(move |what| (kind, *what)));
    all.filter(|what| !tally.contains_key(what)).collect()
}

#[test]
fn no_schedule_breaks_a_rule() {
    let (seed, schedules) = (given("REVOKER_SEED"), given("REVOKER_SCHEDULES"));
    let first = seed.unwrap_or(FIXED_SEED);
    let tally = campaign(first, schedules.unwrap_or(SHORT_CUT));
    for ((kind, what), times) in &tally {
        println!("  {kind:<10} {what:<30} {times:>10}");
    }
    if seed.is_none() && schedules.is_none() {
        campaign(fastrand::u64(..), SHORT_CUT);
        everything_happens(tally);
    }
}

/// Faults that never happen prove nothing. So this runs schedules until all have happened, because some are rare.
fn everything_happens(mut tally: Tally) {
    let mut next = FIXED_SEED + SHORT_CUT;
    while !missing(&tally).is_empty() && next < FIXED_SEED + ENOUGH {
        campaign::add(&mut tally, campaign(next, SHORT_CUT));
        next += SHORT_CUT;
    }
    assert!(missing(&tally).is_empty(), "never happened: {:?}", missing(&tally));
}

#[test]
fn a_seed_is_one_schedule() {
    for seed in (FIXED_SEED..).take(20) {
        let [once, again] = [(); 2].map(|()| play(seed, None, true));
        assert!(once.notes.len() > 3, "seed {seed}: nothing happened");
        let differs = once.notes.iter().zip(&again.notes).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once.notes.len(), again.notes.len(), "seed {seed}");
    }
}

#[test]
fn every_mutant_is_caught() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        match campaign::survived(mutant, FIXED_SEED, ENOUGH) {
            Some((survived, violation)) => {
                let schedules = survived + 1;
                let violation: String = violation.chars().take(SHOWN).collect();
                println!("{:<24} {schedules:>5}   {violation}", format!("{mutant:?}"));
            }
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}
