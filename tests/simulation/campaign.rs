//! Runs many schedules on all cores, and reports the results.

use std::{
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{mutants::Mutant, schedule::play, witness::Tally, world::lock};

/// Runs the schedules of this many seeds from the first on. Returns the tally of all, or the report of the failed one
/// with the lowest seed.
pub fn run(first: u64, schedules: u64) -> Result<Tally, String> {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(None::<u64>);
    let tally = Mutex::new(Tally::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut own = Tally::new();
                while lock(&failed).is_none() {
                    let offset = next.fetch_add(1, Ordering::Relaxed);
                    if offset >= schedules {
                        break;
                    }
                    let report = play(first.wrapping_add(offset), None, false);
                    if !report.violations.is_empty() {
                        let mut failed = lock(&failed);
                        *failed = Some(failed.map_or(offset, |before| before.min(offset)));
                    }
                    add(&mut own, report.tally);
                }
                add(&mut lock(&tally), own);
            });
        }
    });
    match failed.into_inner().expect("no thread panicked") {
        Some(offset) => Err(story(first.wrapping_add(offset))),
        None => Ok(tally.into_inner().expect("no thread panicked")),
    }
}

/// The number of schedules that a mutant survives; `None` if it survives all of them.
pub fn survived(mutant: Mutant, first: u64, schedules: u64) -> Option<(u64, String)> {
    (0..schedules).find_map(|offset| {
        let report = play(first.wrapping_add(offset), Some(mutant), false);
        report.violations.into_iter().next().map(|violation| (offset, violation))
    })
}

/// Adds one tally to another.
pub fn add(all: &mut Tally, more: Tally) {
    for (what, times) in more {
        *all.entry(what).or_default() += times;
    }
}

/// Runs a failed schedule again, and returns its events line by line.
fn story(seed: u64) -> String {
    let report = play(seed, None, true);
    let mut story = format!("the schedule of seed {seed} breaks a rule\n");
    for line in &report.notes {
        let _ = writeln!(story, "{line}");
    }
    for violation in &report.violations {
        let _ = writeln!(story, "violated: {violation}");
    }
    let _ = write!(story, "replay it: REVOKER_SEED={seed} REVOKER_SCHEDULES=1 scripts/simulate");
    story
}
