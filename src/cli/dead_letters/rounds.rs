//! Doing something with the letters that were chosen, in rounds: each reads the whole queue, finds those still to
//! do, does as many as it has time for while it reads, and gives the rest back.
//!
//! Not all in one look: the broker takes letters back that are held for too long (`consumer_timeout`, 30
//! minutes by default). The last round finds none left, which proves that the acks arrived: a quorum queue can
//! lose those that the end of a connection follows.

use std::{collections::VecDeque, pin::pin, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Tools,
    failure::Failure,
    frozen::{Claim, Frozen},
    progress::Progress,
    reading::unless_stopped,
    room::Room,
};
use crate::{
    broker::{
        Browse, BrowseError, BrowseMode, BrowsedMessage, Charge, MessageIdentity, MessageTag,
    },
    domain::Schedule,
};

/// No letter is held longer than it takes to end this, to read what is left of the queue, and to end the batch
/// under way.
pub const LONGEST: Duration = Duration::from_secs(300);

/// Letters that wait for their turn and take more bytes than this are done, however few they are.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A batch that takes longer ends the reading: the broker closes a connection that is not read for 30 seconds.
const READER_WAITS: Duration = Duration::from_secs(5);

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

    /// So many are done together, at most.
    const BATCH: usize;

    /// The most letters that one round has the time to do.
    fn in_a_round(&self) -> usize;

    /// A round begins.
    fn begin(&mut self) {}

    /// Whether this letter stays where it is, for another reason than want of time.
    fn refuses(&mut self, _held: &BrowsedMessage) -> bool {
        false
    }

    /// What to keep of a letter.
    fn keep(&self, held: BrowsedMessage) -> Self::Kept;

    /// How many may be done at this moment, `most` at most.
    fn permitted_now(&mut self, most: usize) -> usize;

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

/// Does `deed` to every chosen letter, until all are done, none is found any more, or a signal comes.
///
/// # Errors
///
/// [`Failure`], when rounds go on failing. What was done is noted in `letters` in any case.
pub async fn run<D: Deed>(
    tools: &mut Tools,
    letters: &mut Frozen<MessageIdentity>,
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
    letters: &mut Frozen<MessageIdentity>,
    deed: &mut D,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let Tools { queue, stop, .. } = tools;
    let look = unless_stopped(stop, async {
        if letters.left() > 0 {
            // Waited for here, where nothing is held: a slow rate may make it long.
            deed.permitted(1).await;
        }
        Ok(queue.browse(BrowseMode::Ack).await?)
    })
    .await?;
    deed.begin();
    let room = Room::of(deed.in_a_round());
    let end = Instant::now() + LONGEST;
    let turns = VecDeque::new();
    let reads = true;
    let mut round = Round { look, reads, turns, room, found: 0, end, letters, deed, progress };
    let ended = match round.read(stop).await {
        Ok(()) => round.take(stop).await,
        failed => failed,
    };
    let Round { look, found, progress, .. } = round;
    if !matches!(ended, Err(Failure::Browse(_))) {
        progress.giving_back(look.close()).await;
    }
    ended.map(|()| found)
}

/// A letter that waits for its turn.
struct Turn<K> {
    tag: MessageTag,
    identity: MessageIdentity,
    bytes: usize,
    kept: K,
    /// Kept while the letter is done at once: a large one must not be joined by the next.
    charge: Option<Charge>,
}

/// A round under way.
struct Round<'a, D: Deed> {
    look: Browse<'a>,
    /// Whether the broker still hands letters over, and waits for the reader.
    reads: bool,
    turns: VecDeque<Turn<D::Kept>>,
    room: Room,
    found: u64,
    end: Instant,
    letters: &'a mut Frozen<MessageIdentity>,
    deed: &'a mut D,
    progress: &'a mut Progress,
}

impl<D: Deed> Round<'_, D> {
    /// Reads the queue, and does on the way what may be done without a wait: the broker must not wait for the
    /// reader. What there is no room for is for the next round, and so is what was not read as a batch took long.
    async fn read(&mut self, stop: &CancellationToken) -> Result<(), Failure> {
        let mut sightings = self.letters.unseen();
        while self.reads {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                next = self.look.next() => next?,
            };
            let Some(held) = next else { break };
            match self.letters.claim(&mut sightings, &held.identity()) {
                Claim::Foreign => {}
                Claim::Done => {
                    self.found += 1;
                    self.look.ack(&[held.tag()]).await?;
                }
                Claim::Left if self.deed.refuses(&held) => {}
                Claim::Left => {
                    self.found += 1;
                    self.line_up(held);
                    if self.is_due() {
                        let most = self.deed.permitted_now(self.turns.len());
                        self.take_batch(most).await?;
                    }
                }
            }
            // A letter that waits on must not keep the next one from coming.
            if let Some(turn) = self.turns.back_mut() {
                turn.charge = None;
            }
            self.progress.read(self.look.seen(), self.look.expected());
        }
        self.progress.has_read();
        self.reads = false;
        Ok(self.look.hold().await?)
    }

    fn line_up(&mut self, mut held: BrowsedMessage) {
        let bytes = held.size();
        if Instant::now() < self.end && self.room.take(bytes) {
            let (tag, identity) = (held.tag(), held.identity());
            let charge = held.take_charge();
            self.turns.push_back(Turn { tag, identity, bytes, kept: self.deed.keep(held), charge });
        }
    }

    fn is_due(&self) -> bool {
        self.turns.len() >= D::BATCH || self.room.bytes() >= BATCH_BYTES
    }

    /// Does the letters that wait, batch by batch.
    async fn take(&mut self, stop: &CancellationToken) -> Result<(), Failure> {
        while !self.turns.is_empty() && Instant::now() < self.end {
            let most = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                most = self.deed.permitted(self.turns.len()) => most,
            };
            self.take_batch(most).await?;
        }
        Ok(())
    }

    /// Does one batch of `most` letters at most. Each is acked once it is done.
    async fn take_batch(&mut self, most: usize) -> Result<(), Failure> {
        let (mut batch, mut kept, mut charges, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        while batch.len() < most && bytes < BATCH_BYTES {
            let Some(turn) = self.turns.pop_front() else { break };
            self.room.give_back(turn.bytes);
            bytes += turn.bytes;
            batch.push((turn.tag, turn.identity));
            kept.push(turn.kept);
            charges.push(turn.charge);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let (Carried { done, refused }, held) = self.carry_out(kept, charges).await?;
        let done = batch.into_iter().zip(done).filter(|(_, done)| *done);
        let (tags, identities): (Vec<_>, Vec<_>) = done.map(|(letter, _)| letter).unzip();
        // Before the ack: a letter that comes back for want of one must not be done again.
        for identity in &identities {
            self.letters.done(identity);
        }
        held?;
        self.look.ack(&tags).await?;
        self.progress.add(tags.len() as u64);
        refused.map_or(Ok(()), |why| Err(Failure::Refused(why)))
    }

    /// Carries a batch out. If that takes long while the queue is read, the reading ends and the letters stay held:
    /// a broker that blocks publishing would close the connection that nobody reads. Says as well how that ended,
    /// for what was done counts in any case.
    async fn carry_out(
        &mut self,
        batch: Vec<D::Kept>,
        charges: Vec<Option<Charge>>,
    ) -> Result<(Carried, Result<(), BrowseError>), Failure> {
        let mut carrying = pin!(self.deed.carry_out(batch));
        if !self.reads {
            return Ok((carrying.await?, Ok(())));
        }
        if let Ok(carried) = timeout(READER_WAITS, carrying.as_mut()).await {
            return Ok((carried?, Ok(())));
        }
        self.reads = false;
        // What comes until the reading has ended is taken out of the way, and must not wait for these.
        drop(charges);
        let (held, carried) = tokio::join!(self.look.hold(), carrying);
        Ok((carried?, held))
    }
}
