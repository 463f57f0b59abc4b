//! Doing something with the letters that were chosen, in rounds: each looks at the whole queue, finds
//! those still to do, does as many as fit, and gives the rest back.
//!
//! Not all in one look: the broker takes letters back that are held for too long (`consumer_timeout`, 30
//! minutes by default), and their bodies would all be in memory. The last round finds none left, which
//! proves that the acks arrived: a quorum queue can lose those that the end of a connection follows.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Tools,
    failure::Failure,
    frozen::{Claim, Frozen, Sightings},
    progress::Progress,
    reading::unless_stopped,
};
use crate::{
    broker::{Held, Holding, Identity, Tag},
    domain::Schedule,
};

/// No letter is held longer than it takes to end this and the batch under way.
pub const LONGEST: Duration = Duration::from_secs(300);

/// So many rounds may fail one after the other with nothing done between.
const MAX_FAILURES: u32 = 5;

/// The waits between rounds that failed.
const RETRY: Schedule = Schedule {
    initial: Duration::from_millis(200),
    multiplier: 2.0,
    max: Duration::from_secs(5),
    jitter: 0.5,
};

/// What is done to a letter before it leaves the queue.
pub trait Deed {
    /// What is kept of a letter until its turn comes.
    type Kept;

    /// How it is called while it is done: "replaying".
    const DOING: &'static str;

    /// A round begins: nothing is kept.
    fn begin(&mut self);

    /// What to keep of a letter; `None` if this round has no room for it.
    fn keep(&mut self, held: Held) -> Option<Self::Kept>;

    /// Waits until at least one may be done; says how many, `most` at most.
    async fn permitted(&mut self, most: usize) -> usize;

    /// Does a batch.
    ///
    /// # Errors
    ///
    /// [`Failure`] if nothing is known of any of them.
    async fn carry_out(&mut self, batch: Vec<Self::Kept>) -> Result<Carried, Failure>;
}

/// What became of a batch.
#[derive(Debug)]
pub struct Carried {
    /// For each letter, whether it was done.
    pub done: Vec<bool>,
    /// Why the others were not.
    pub refused: Option<String>,
}

/// A letter whose turn comes in this round.
struct Turn<K> {
    tag: Tag,
    identity: Identity,
    kept: K,
}

/// Does `deed` to every chosen letter, until all are done, none is found any more, or a signal comes.
///
/// # Errors
///
/// [`Failure`], when rounds go on failing. What was done is noted in `letters` in any case.
pub async fn run<D: Deed>(
    tools: &mut Tools,
    letters: &mut Frozen<Identity>,
    deed: &mut D,
) -> Result<(), Failure> {
    let mut progress = Progress::new(D::DOING, letters.left());
    let mut backoff = RETRY.start();
    let mut failures = 0;
    while !tools.stop.is_cancelled() {
        let before = letters.finished();
        match round(tools, letters, deed, &mut progress).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(Failure::Interrupted(_)) => break,
            Err(failure) => {
                tools.queue.disconnect().await;
                if letters.finished() > before {
                    failures = 0;
                    backoff.reset();
                }
                failures += 1;
                if !failure.passes() || failures > MAX_FAILURES {
                    return Err(failure);
                }
                tokio::select! {
                    () = sleep(backoff.next(fastrand::f64())) => {}
                    () = tools.stop.cancelled() => {}
                }
            }
        }
    }
    Err(Failure::Interrupted("what is left is where it was; the same command goes on with it"))
}

/// One round; says how many letters it found to do, or to ack once more.
async fn round<D: Deed>(
    tools: &mut Tools,
    letters: &mut Frozen<Identity>,
    deed: &mut D,
    progress: &mut Progress,
) -> Result<usize, Failure> {
    let Tools { queue, stop, .. } = tools;
    deed.begin();
    let mut turns = VecDeque::new();
    let mut back = Vec::new();
    let look = unless_stopped(stop, async {
        if letters.left() > 0 {
            // Waited for here, where nothing is held: a slow rate may make it long.
            deed.permitted(1).await;
        }
        let mut look = queue.look().await?;
        let mut sightings = Sightings::default();
        while let Some(held) = look.next().await? {
            let (tag, identity) = (held.tag(), held.identity());
            match letters.claim(&mut sightings, identity) {
                Claim::Left => {
                    turns.extend(deed.keep(held).map(|kept| Turn { tag, identity, kept }));
                }
                Claim::Done => back.push(tag),
                Claim::Foreign => {}
            }
        }
        Ok(look)
    })
    .await?;
    let found = turns.len() + back.len();
    let mut holding = look.hold().await?;
    let taken = async {
        holding.ack(back).await?;
        take(turns, &mut holding, stop, letters, deed, progress).await
    };
    let taken = taken.await;
    holding.close().await;
    taken.map(|()| found)
}

/// Does the letters of one round, batch by batch. Each is acked once it is done.
async fn take<D: Deed>(
    mut turns: VecDeque<Turn<D::Kept>>,
    holding: &mut Holding<'_>,
    stop: &tokio_util::sync::CancellationToken,
    letters: &mut Frozen<Identity>,
    deed: &mut D,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let end = Instant::now() + LONGEST;
    while !turns.is_empty() && Instant::now() < end {
        let most = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            most = deed.permitted(turns.len()) => most.min(turns.len()),
        };
        let (mut batch, mut kept) = (Vec::with_capacity(most), Vec::with_capacity(most));
        for turn in turns.drain(..most) {
            batch.push((turn.tag, turn.identity));
            kept.push(turn.kept);
        }
        let Carried { done, refused } = deed.carry_out(kept).await?;
        let done = batch.into_iter().zip(done).filter(|(_, done)| *done);
        let done: Vec<_> = done.map(|(letter, _)| letter).collect();
        // Before the ack: a letter that comes back for want of one must not be done again.
        for (_, identity) in &done {
            letters.done(*identity);
        }
        holding.ack(done.iter().map(|(tag, _)| *tag)).await?;
        progress.add(done.len() as u64);
        if let Some(why) = refused {
            return Err(Failure::Refused(why));
        }
    }
    Ok(())
}
