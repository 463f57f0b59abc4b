//! The one job that is wanted at a time while a pause is probed: out of which lane it is taken.
//!
//! One task asks the lanes' sessions one after the other, so that there are never two at once, also where
//! the lanes have connections of their own. A lane that has no job, or no session, leaves its turn to the other.

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

/// How often empty queues are asked for the one job that is wanted.
pub const ASK_EVERY: Duration = Duration::from_millis(500);

/// How often a lane that is busy with a command looks whether it stalls.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a session answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchAnswer {
    /// It took one.
    Job,
    /// Its queue has none.
    None,
    /// There may be one already, or none is wanted any more: ask nobody else now.
    NotNow,
}

/// A question, to be answered once.
pub type Question = oneshot::Sender<FetchAnswer>;

/// Awaits `work`. While the lane stalls meanwhile, it leaves its turn to the other lane: the broker's answer to
/// `work` waits behind what is not read, and a question must not wait with it.
pub async fn leaving_turns<T>(
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
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// Answers a question with what `fetching` comes to; with [`FetchAnswer::None`], if the lane stalls first. Then a job that
/// was asked for already may still come, beside one of the other lane.
///
/// # Errors
///
/// That of `fetching`.
pub async fn answer<E>(
    question: Question,
    stalls: impl Fn() -> bool,
    fetching: impl Future<Output = Result<FetchAnswer, E>>,
) -> Result<(), E> {
    // Before anything is asked of the broker.
    if stalls() {
        give(question, FetchAnswer::None);
        return Ok(());
    }
    let mut fetching = pin!(fetching);
    let fetched = loop {
        tokio::select! {
            biased;
            fetched = fetching.as_mut() => break Ok(fetched?),
            () = sleep(LOOK_EVERY) => if stalls() { break Err(fetching) },
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
    // Whoever asked may have gone.
    let _ = question.send(answer);
}

/// Where each lane's present session is asked.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<PerLane<Mutex<Option<mpsc::Sender<Question>>>>>);

impl Sessions {
    /// From now on a lane's questions come here, until the receiver is dropped with its session.
    #[must_use]
    pub fn attend(&self, lane: Lane) -> mpsc::Receiver<Question> {
        let (questions, asked) = mpsc::channel(1);
        *self.of(lane) = Some(questions);
        asked
    }

    /// A lane's answer; `None` if it has no session, or that ends first.
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

/// The task that asks.
#[derive(Debug)]
pub struct OneJob {
    sessions: Sessions,
    commands: LaneCommands,
    /// Whose turn it is.
    turn: Lane,
}

impl OneJob {
    /// A task that asks these sessions whenever one job is wanted.
    #[must_use]
    pub const fn new(sessions: Sessions, commands: LaneCommands) -> Self {
        Self { sessions, commands, turn: Lane::Interactive }
    }

    /// Asks as long as jobs are wanted.
    pub async fn run(mut self) {
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
                // A job that always fails, alone in its lane, is back from its stay before the next of these
                // is wanted: it would be the only one ever taken.
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
