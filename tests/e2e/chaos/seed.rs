//! Random numbers: one seed per run and one derived from it per case, so that a failed case can be repeated
//! alone.

use std::{env, sync::OnceLock};

use fastrand::Rng;

/// The random numbers of one case.
pub fn chance(area: &str, fault: &str) -> Rng {
    let seed = of_the_run();
    eprintln!("{area}, {fault}: REVOKER_SEED={seed}");
    Rng::with_seed(mix(seed, format!("{area}/{fault}").as_bytes()))
}

/// A number that `bytes` and `seed` determine.
pub fn mix(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |seed, byte| Rng::with_seed(seed ^ u64::from(*byte)).u64(..))
}

/// `REVOKER_SEED`, or a random seed.
fn of_the_run() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match env::var("REVOKER_SEED") {
        Ok(seed) => seed.parse().expect("REVOKER_SEED is a whole number"),
        Err(_) => fastrand::u64(..),
    })
}

/// Two cases of one run get different numbers, and so do two runs of one case.
#[test]
fn cases_and_runs_draw_apart() {
    assert_ne!(mix(1, b"worker/a"), mix(1, b"worker/b"));
    assert_ne!(mix(1, b"worker/a"), mix(2, b"worker/a"));
    assert_eq!(mix(1, b"worker/a"), mix(1, b"worker/a"));
}
