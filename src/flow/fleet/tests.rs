use std::collections::BTreeSet;

use super::*;

const EVERY: Duration = Duration::from_millis(500);

/// Reports a count on both lanes from `from` on for `time`, at a worker's interval. Returns the end.
fn counted(fleet: &mut Fleet, from: Instant, time: Duration, consumers: u32) -> Instant {
    let mut at = from;
    while at < from + time {
        for lane in Lane::ALL {
            fleet.counted(lane, at, consumers);
        }
        at += EVERY;
    }
    at
}

/// A replica among this many, with a settled share, and the time.
fn settled(consumers: u32) -> (Fleet, Instant) {
    let mut fleet = Fleet::default();
    let now = counted(&mut fleet, Instant::now(), SETTLED + EVERY, consumers);
    (fleet, now)
}

fn assert_share(fleet: &Fleet, now: Instant, expected: f64) {
    let share = fleet.share(now);
    assert!((share - expected).abs() < 1e-9, "a share of {share}, not {expected}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_has_no_share_until_the_others_must_have_counted_it() {
    let (mut fleet, began) = (Fleet::default(), Instant::now());
    assert_share(&fleet, began, 0.0);
    let now = counted(&mut fleet, began, SETTLED, 4);
    assert_share(&fleet, now - Duration::from_millis(1), 0.0);
    assert_share(&fleet, now, 0.25);
}

#[tokio::test(start_paused = true)]
async fn a_share_that_falls_applies_at_once() {
    let (mut fleet, now) = settled(2);
    assert_share(&fleet, now, 0.5);
    counted(&mut fleet, now, EVERY, 5);
    assert_share(&fleet, now, 0.2);
}

#[tokio::test(start_paused = true)]
async fn a_share_grows_only_when_the_higher_count_is_old() {
    let (mut fleet, fallen) = settled(4);
    let last_high = fallen - EVERY;
    let now = counted(&mut fleet, fallen, SETTLED.saturating_sub(EVERY), 2);
    assert_eq!(now, last_high + SETTLED);
    assert_share(&fleet, now - Duration::from_millis(1), 0.25);
    assert_share(&fleet, now, 0.5);
}

#[tokio::test(start_paused = true)]
async fn a_count_that_dips_lets_nothing_grow() {
    let (mut fleet, mut now) = settled(2);
    for _ in 0..20 {
        now = counted(&mut fleet, now, SETTLED / 2, 1);
        assert_share(&fleet, now, 0.5);
        now = counted(&mut fleet, now, EVERY, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_too_busy_to_tell_changes_nothing() {
    let (mut fleet, now) = settled(2);
    let after = counted(&mut fleet, now, GOOD_FOR.saturating_sub(EVERY), 0);
    assert_share(&fleet, after, 0.5);
    counted(&mut fleet, after, EVERY, 2);
    assert_share(&fleet, after + GOOD_FOR, 0.5);
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_counts_has_no_share_and_begins_anew() {
    let (mut fleet, now) = settled(2);
    let silent = now + GOOD_FOR;
    assert_share(&fleet, silent, 0.0);
    let back = counted(&mut fleet, silent, SETTLED, 2);
    assert_share(&fleet, back - Duration::from_millis(1), 0.0);
    assert_share(&fleet, back, 0.5);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_was_cancelled_begins_anew() {
    let (mut fleet, now) = settled(1);
    for lane in Lane::ALL {
        fleet.absent(lane);
    }
    assert!(!fleet.consumes());
    assert_share(&fleet, now, 0.0);
    let back = counted(&mut fleet, now, SETTLED, 1);
    assert!(fleet.consumes());
    assert_share(&fleet, back - Duration::from_millis(1), 0.0);
    assert_share(&fleet, back, 1.0);
}

#[tokio::test(start_paused = true)]
async fn each_lanes_consumers_divide_half_of_the_rate() {
    let (mut fleet, now) = settled(2);
    fleet.absent(Lane::Interactive);
    assert_share(&fleet, now, 0.25);
}

/// Replicas and the broker's counts, in steps of a tenth of a second.
struct Model {
    now: Instant,
    replicas: Vec<Replica>,
    dice: fastrand::Rng,
}

struct Replica {
    fleet: Fleet,
    /// Lanes on which the broker counts it.
    counted: BTreeSet<Lane>,
    /// Lanes on which the replica assumes that it consumes.
    believes: BTreeSet<Lane>,
    /// Whether it is cut off from the broker: it does not learn that it is no longer counted.
    cut_off: bool,
    killed: bool,
    /// The time of its next request, and its pending requests: time, lane, count, and time of the answer.
    asks: Instant,
    answers: Vec<(Instant, Lane, u32, Instant)>,
}

impl Model {
    fn step(&mut self) {
        const STEP: Duration = Duration::from_millis(100);
        self.now += STEP;
        if self.replicas.len() < 6 && self.dice.u32(..80) == 0 {
            self.replicas.push(Replica {
                fleet: Fleet::default(),
                counted: BTreeSet::new(),
                believes: BTreeSet::new(),
                cut_off: false,
                killed: false,
                asks: self.now,
                answers: Vec::new(),
            });
        }
        for index in 0..self.replicas.len() {
            self.change(index);
            self.ask(index);
        }
        // Killed replicas that are no longer counted are removed.
        self.replicas.retain(|replica| !replica.killed || !replica.counted.is_empty());
    }

    fn change(&mut self, index: usize) {
        let (chance, lane) = (self.dice.u32(..1000), self.dice.choice(Lane::ALL).unwrap());
        let replica = &mut self.replicas[index];
        match chance {
            0..20 if !replica.cut_off && !replica.killed => {
                replica.counted.insert(lane);
                replica.believes.insert(lane);
            }
            20..22 if !replica.cut_off => {
                replica.believes.remove(&lane);
                replica.fleet.absent(lane);
                replica.counted.remove(&lane);
            }
            22..24 => replica.cut_off = true,
            24..26 => replica.killed = true,
            // The broker eventually notices a lost replica.
            26..126 if replica.cut_off || replica.killed => replica.counted.clear(),
            126..136 if replica.cut_off && replica.counted.is_empty() => {
                for lane in Lane::ALL {
                    replica.fleet.absent(lane);
                }
                replica.believes.clear();
                replica.answers.clear();
                replica.cut_off = false;
            }
            _ => {}
        }
    }

    /// Requests a count, sometimes late. Some answers are lost, late or empty.
    fn ask(&mut self, index: usize) {
        let now = self.now;
        let counts =
            |lane| self.replicas.iter().filter(|other| other.counted.contains(&lane)).count();
        let counts = PerLane::from_fn(|lane| u32::try_from(counts(lane)).unwrap());
        let dice = &mut self.dice;
        let replica = &mut self.replicas[index];
        if replica.killed || replica.cut_off {
            return;
        }
        if replica.asks <= now {
            replica.asks = now + Duration::from_millis(dice.u64(500..3000));
            for lane in Lane::ALL {
                if replica.believes.contains(&lane) && dice.u32(..20) > 0 {
                    let count = if dice.u32(..20) == 0 { 0 } else { *counts.get(lane) };
                    let answered = now + Duration::from_millis(dice.u64(..1000));
                    replica.answers.push((now, lane, count, answered));
                }
            }
        }
        let Replica { answers, fleet, believes, .. } = replica;
        answers.retain(|(asked, lane, count, answered)| {
            let due = *answered <= now;
            if due && believes.contains(lane) {
                fleet.counted(*lane, *asked, *count);
            }
            !due
        });
    }

    fn shares(&self) -> f64 {
        let running = self.replicas.iter().filter(|replica| !replica.killed);
        running.map(|replica| replica.fleet.share(self.now)).sum()
    }
}

/// Replicas start, die, pause, resume, or are cut off without noticing.
#[tokio::test(start_paused = true)]
async fn the_shares_never_add_up_to_more_than_the_rate() {
    let mut highest = 0.0_f64;
    let mut shared = 0;
    for seed in 0..100 {
        let dice = fastrand::Rng::with_seed(seed);
        let mut model = Model { now: Instant::now(), replicas: Vec::new(), dice };
        for step in 0..3000 {
            model.step();
            let sum = model.shares();
            assert!(sum < 1.0 + 1e-9, "seed {seed}, step {step}: {sum}");
            highest = highest.max(sum);
            let with = model.replicas.iter().filter(|replica| replica.fleet.share(model.now) > 0.0);
            shared += usize::from(with.count() > 1);
        }
    }
    assert!(highest > 0.99 && shared > 1000, "the model shares nothing: {highest}, {shared}");
}
