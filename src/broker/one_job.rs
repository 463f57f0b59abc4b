//! Fetches the single job that a probe wants, from one lane at a time.
//!
//! Each lane has its own connection. One task asks the lanes' sessions one after the other, so there are never two such
//! jobs. A lane without a job or a session passes its turn to the other.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::commands::LaneCommands;
use crate::{
    domain::{Lane, PerLane},
    ports::Demand,
};

/// How often empty queues are asked for the wanted job.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(500);

/// How often a busy lane checks whether it is stalled.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// The answer of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchAnswer {
    /// It fetched a job.
    Job,
    /// Its queue is empty.
    None,
    /// A job may be there already, or none is wanted any more: the other lane is not asked now.
    NotNow,
}

/// A question. It is answered once.
pub(super) type Question = oneshot::Sender<FetchAnswer>;

/// Awaits `work`. While the lane is stalled, questions go to the other lane: this lane's answer from the broker waits
/// behind unread deliveries.
pub(super) async fn yielding_turns<T>(
    questions: &mut mpsc::Receiver<Question>,
    stalls: impl Fn() -> bool,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        if stalls() {
            while let Ok(question) = questions.try_recv() {
                give(question, FetchAnswer::None);
            }
        }
        tokio::select! {
            biased;
            done = work.as_mut() => return done,
            () = sleep(CHECK_EVERY) => {}
        }
    }
}

/// Answers a question with the result of `fetching`, or with [`FetchAnswer::None`] if the lane stalls first. A job
/// that was already requested may still come then, beside one of the other lane. Fails if `fetching` does.
pub(super) async fn answer<E>(
    question: Question,
    stalls: impl Fn() -> bool,
    fetching: impl Future<Output = Result<FetchAnswer, E>>,
) -> Result<(), E> {
    // This check comes before the request to the broker.
    if stalls() {
        give(question, FetchAnswer::None);
        return Ok(());
    }
    let mut fetching = pin!(fetching);
    let fetched = loop {
        tokio::select! {
            biased;
            fetched = fetching.as_mut() => break Ok(fetched?),
            () = sleep(CHECK_EVERY) => if stalls() { break Err(fetching) },
        }
    };
    match fetched {
        Ok(answer) => give(question, answer),
        Err(fetching) => {
            give(question, FetchAnswer::None);
            fetching.await?;
        }
    }
    Ok(())
}

fn give(question: Question, answer: FetchAnswer) {
    // The asking task may be gone.
    let _ = question.send(answer);
}

/// The present session of each lane, for questions.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions(Arc<PerLane<Mutex<Option<mpsc::Sender<Question>>>>>);

impl Sessions {
    /// Directs a lane's questions to the returned receiver, until it is dropped with its session.
    pub(super) fn register(&self, lane: Lane) -> mpsc::Receiver<Question> {
        let (questions, asked) = mpsc::channel(1);
        *self.of(lane) = Some(questions);
        asked
    }

    /// Asks a lane. Returns `None` if it has no session, or the session ends first.
    async fn ask(&self, lane: Lane) -> Option<FetchAnswer> {
        let questions = self.of(lane).clone()?;
        let (question, answer) = oneshot::channel();
        questions.send(question).await.ok()?;
        answer.await.ok()
    }

    fn of(&self, lane: Lane) -> MutexGuard<'_, Option<mpsc::Sender<Question>>> {
        // A plain value, replaced whole.
        self.0.get(lane).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct OneJob {
    sessions: Sessions,
    commands: LaneCommands,
    /// The lane that is asked first.
    turn: Lane,
}

impl OneJob {
    /// A task that asks these sessions whenever one job is wanted.
    pub(super) const fn new(sessions: Sessions, commands: LaneCommands) -> Self {
        Self { sessions, commands, turn: Lane::Interactive }
    }

    /// Asks until no job is wanted any more.
    pub(super) async fn run(mut self) {
        loop {
            let wanted = self.commands.wanted();
            match wanted {
                Demand::Never => return,
                Demand::All => self.turn = Lane::Interactive,
                Demand::None => {}
                Demand::One => self.take_one().await,
            }
            tokio::select! {
                () = self.commands.changed() => {}
                () = sleep(ASK_EVERY), if wanted == Demand::One => {}
            }
        }
    }

    async fn take_one(&mut self) {
        for lane in [self.turn, self.turn.other()] {
            match self.sessions.ask(lane).await {
                // The other lane is next. Otherwise a lane's only job, failing and returning from its retry queue,
                // would be the only one ever probed.
                Some(FetchAnswer::Job) => {
                    self.turn = lane.other();
                    return;
                }
                Some(FetchAnswer::NotNow) => return,
                Some(FetchAnswer::None) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
