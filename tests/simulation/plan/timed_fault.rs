//! The faults of a schedule, except those of the endpoint.

use std::time::Duration;

use crate::dice::Dice;

/// One fault at its time.
#[derive(Debug, Clone, Copy)]
pub struct TimedFault {
    pub at: Duration,
    pub fault: Fault,
}

/// The kinds of faults. Workers are identified by their index.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The consuming connection breaks.
    Sever(usize),
    /// SIGKILL.
    Kill(usize),
    /// SIGTERM, and optionally a second one.
    Terminate { worker: usize, second: Option<Duration> },
    /// The dead-letter queue refuses messages for a while.
    DeadRefuses(Duration),
    /// The retry queues refuse messages for a while.
    RetryRefuses(Duration),
    /// The broker blocks publishing for a while.
    Blocked(Duration),
    /// The broker is gone for a while.
    Down(Duration),
    /// A client's secret is withdrawn for a while.
    Withdrawn(Duration),
    /// The wall clock is stepped.
    Step(i64),
}

/// A few faults before `calm_after`. Few schedules have none.
pub fn draw(dice: &Dice, calm_after: Duration, replicas: usize) -> Vec<TimedFault> {
    let mut faults: Vec<TimedFault> = (0..dice.between(0, 6))
        .map(|_| TimedFault {
            // Half of them while most of the jobs are new.
            at: dice.up_to(if dice.one_in(2) { calm_after / 10 } else { calm_after }),
            fault: fault(dice, replicas),
        })
        .collect();
    faults.sort_by_key(|timed| timed.at);
    faults
}

fn fault(dice: &Dice, replicas: usize) -> Fault {
    let worker = dice.between(0, replicas - 1);
    let longest = Duration::from_secs(dice.pick(&[2, 30, 120, 900]));
    let a_while = dice.time(Duration::from_millis(100), longest);
    match dice.between(0, 13) {
        0..3 => Fault::Sever(worker),
        3 | 4 => Fault::Kill(worker),
        5 | 6 => Fault::Terminate {
            worker,
            second: dice.one_in(4).then(|| dice.up_to(Duration::from_secs(2))),
        },
        7 => Fault::DeadRefuses(a_while),
        8 => Fault::RetryRefuses(a_while),
        9 => Fault::Blocked(a_while),
        10 => Fault::Down(a_while),
        11 | 12 => Fault::Withdrawn(a_while),
        _ => Fault::Step(dice.pick(&[-3600, -30, 30, 3600])),
    }
}
