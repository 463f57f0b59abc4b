//! The history of pauses: a job's age does not count the time in which its calls were paused.
//!
//! It keeps a few intervals for the worker and for each client. A sum would be smaller, but it serves only jobs that
//! were in memory when the pause began. A parked job asks about the time of its stay.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ClientKey;

/// How many pauses are remembered of the worker, and of each client. Beyond that the two with the shortest gap become
/// one, and the gap counts as a pause. So no job is given up too early.
const MOST: usize = 64;

/// The pauses of the worker and of its clients.
#[derive(Debug)]
pub(super) struct Pauses {
    /// When the history begins.
    started: Instant,
    worker: Intervals,
    /// Indexed by the client's key.
    clients: Vec<Intervals>,
}

/// Pauses in their order, and the start of the current one.
#[derive(Debug, Default)]
struct Intervals {
    ended: Vec<(Instant, Instant)>,
    since: Option<Instant>,
}

impl Pauses {
    /// An empty history that begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { started: now, worker: Intervals::default(), clients: Vec::new() }
    }

    /// Notes whether the worker makes no calls.
    pub(super) fn worker(&mut self, paused: bool, now: Instant) {
        self.worker.set(paused, now);
    }

    pub(super) fn client(&mut self, ClientKey(key): ClientKey, paused: bool, now: Instant) {
        let index = key as usize;
        if index >= self.clients.len() {
            self.clients.resize_with(index + 1, Intervals::default);
        }
        self.clients[index].set(paused, now);
    }

    /// How long calls of a client were paused within the `last` time. The time before the history counts as a pause,
    /// because it is unknown.
    pub(super) fn within(
        &self,
        ClientKey(key): ClientKey,
        last: Duration,
        now: Instant,
    ) -> Duration {
        let known = now.saturating_duration_since(self.started);
        let unknown = last.saturating_sub(known);
        let from = now.checked_sub(last.min(known)).unwrap_or(self.started);
        let mut pauses: Vec<_> = self.worker.since(from, now).collect();
        if let Some(client) = self.clients.get(key as usize) {
            pauses.extend(client.since(from, now));
        }
        unknown + length(pauses)
    }
}

impl Intervals {
    fn set(&mut self, paused: bool, now: Instant) {
        if paused {
            self.since.get_or_insert(now);
        } else if let Some(since) = self.since.take().filter(|since| *since < now) {
            self.ended.push((since, now));
            if self.ended.len() > MOST {
                self.join_closest();
            }
        }
    }

    fn join_closest(&mut self) {
        let gap = |pair: &[(Instant, Instant)]| pair[1].0.saturating_duration_since(pair[0].1);
        let closest = self.ended.windows(2).enumerate().min_by_key(|(_, pair)| gap(pair));
        if let Some((at, _)) = closest {
            let (_, end) = self.ended.remove(at + 1);
            self.ended[at].1 = end;
        }
    }

    /// The parts of its pauses between `from` and `now`.
    fn since(&self, from: Instant, now: Instant) -> impl Iterator<Item = (Instant, Instant)> + '_ {
        let lasting = self.since.map(|since| (since, now));
        let later = self.ended.iter().copied().chain(lasting).filter(move |(_, end)| *end > from);
        later.map(move |(begin, end)| (begin.max(from), end))
    }
}

/// The total length of the intervals. Overlaps count once.
fn length(mut intervals: Vec<(Instant, Instant)>) -> Duration {
    intervals.sort_unstable();
    let (mut sum, mut counted) = (Duration::ZERO, None);
    for (begin, end) in intervals {
        let begin = counted.map_or(begin, |counted| begin.max(counted));
        sum += end.saturating_duration_since(begin);
        counted = counted.max(Some(end));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientKey = ClientKey(3);
    const OTHER: ClientKey = ClientKey(4);

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_of_worker_and_client_count_and_overlaps_count_once() {
        let start = Instant::now();
        let at = |after| start + seconds(after);
        let mut pauses = Pauses::new(start);
        pauses.worker(true, at(10));
        pauses.client(CLIENT, true, at(15));
        pauses.worker(false, at(20));
        pauses.client(CLIENT, false, at(40));
        pauses.client(CLIENT, true, at(90));
        let within = |client, last| pauses.within(client, seconds(last), at(100)).as_secs();
        assert_eq!(within(CLIENT, 100), 40, "10 to 40 and 90 to now");
        assert_eq!(within(CLIENT, 65), 15, "from 35 on");
        assert_eq!(within(CLIENT, 50), 10, "a pause that lasts counts up to now");
        assert_eq!(within(CLIENT, 0), 0);
        assert_eq!(within(OTHER, 100), 10, "the worker's alone");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_before_the_start_counts_as_a_pause() {
        let start = Instant::now();
        let mut pauses = Pauses::new(start);
        pauses.worker(true, start + seconds(5));
        pauses.worker(false, start + seconds(7));
        let now = start + seconds(10);
        assert_eq!(pauses.within(CLIENT, seconds(10), now), seconds(2));
        assert_eq!(pauses.within(CLIENT, seconds(3_610), now), seconds(3_602));
        assert_eq!(pauses.within(CLIENT, Duration::MAX, now).as_secs(), u64::MAX - 8);
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_most_the_closest_pauses_become_one_and_no_pause_is_forgotten() {
        let start = Instant::now();
        let mut pauses = Pauses::new(start);
        let (mut now, mut real) = (start, Duration::ZERO);
        for n in 0..1_000_u64 {
            // The second pause of each ten comes shortly after the first.
            now += seconds(if n % 10 == 1 { 1 } else { 100 });
            pauses.worker(true, now);
            now += seconds(10);
            real += seconds(10);
            pauses.worker(false, now);
            assert!(pauses.worker.ended.len() <= MOST);
            let counted = pauses.within(CLIENT, now - start, now);
            assert!(counted >= real, "{counted:?} of {real:?} after {n}");
        }
        assert!(pauses.within(CLIENT, now - start, now) > real, "something was joined");
        assert_eq!(pauses.within(CLIENT, seconds(110), now), seconds(10), "the last is exact");
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_report_changes_nothing() {
        let start = Instant::now();
        let mut pauses = Pauses::new(start);
        for paused in [false, true, true, false, false] {
            pauses.worker(paused, start + seconds(1));
        }
        assert!(pauses.worker.ended.is_empty(), "it took no time");
        pauses.worker(true, start + seconds(2));
        pauses.worker(true, start + seconds(4));
        pauses.worker(false, start + seconds(5));
        let now = start + seconds(6);
        assert_eq!(pauses.within(CLIENT, seconds(6), now), seconds(3));
    }
}
