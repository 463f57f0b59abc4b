use proptest::prelude::*;
use serde::Deserialize;

use super::{
    simulation::{Phase, play},
    *,
};

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

const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

/// Of a fixed limit's throughput, in per cent.
const LEAST_THROUGHPUT: u64 = 90;

/// One refused call in so many.
const MOST_REFUSED: u64 = 50;

#[test]
fn scenarios() {
    let Scenarios { scenario } = toml::from_str(include_str!("scenarios.toml")).unwrap();
    for Scenario { story, min, max, adaptive, phase: phases } in scenario {
        println!("{story}");
        for seed in SEEDS {
            let seen = play(&phases, Limit::new(min, max, adaptive), seed);
            for (index, (phase, seen)) in phases.iter().zip(seen).enumerate() {
                let at = format!("{story} (phase {index}, seed {seed})");
                let expect = &phase.expect;
                let calls = seen.answered + seen.refused;
                let refused = seen.refused as f64 * 100.0 / calls as f64;
                let [least, most] = seen.limit;
                let bad = if !(least >= expect.limit[0] && most <= expect.limit[1]) {"BAD"} else {""};
                let share = expect.best_fixed.map(|best| {
                    let fixed = &play(&phases, Limit::new(best, best, false), seed)[index];
                    seen.answered as f64 * 100.0 / fixed.answered as f64
                });
                println!("  {index}: {bad} {least}..{most} {:.1?} % {refused:.2} % refused", share);
            }
        }
    }
}
