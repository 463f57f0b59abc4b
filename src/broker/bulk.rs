//! Many jobs for one queue: handed over in one go, confirmed together.
//!
//! A letter of [`super::batch`] is waited for until the system has taken it, then the next one is
//! sent. That costs two switches between threads for each, which dead letters can afford and a sweep
//! cannot. Here every frame is handed over before the first is waited for.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{MaybeDone, maybe_done},
};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, PublisherConfirm,
    options::BasicPublishOptions, types::ShortString,
};

use super::{
    batch::Fate,
    cause::fault,
    confirm::{self, Unconfirmed},
};

/// Jobs that were sent on one channel, and what is known of each. It outlives the waiting, so that
/// what was confirmed until the connection broke, or until nobody waited any more, is known.
#[derive(Default)]
pub(super) struct Sent {
    /// In the order of the jobs; shorter while not all are sent.
    confirms: Vec<MaybeDone<PublisherConfirm>>,
}

impl Sent {
    /// Sends the jobs, then awaits all of their confirms, `limit` at most from one to the next. While
    /// the broker blocks the connection nothing can come, so the deadline stands still, and `blocked`
    /// is told.
    ///
    /// # Errors
    ///
    /// [`Unconfirmed`] if the confirms did not come; the channel is of no use any more then.
    pub(super) async fn publish<J: AsRef<[u8]>>(
        &mut self,
        (connection, channel): (&Connection, &Channel),
        queue: &ShortString,
        jobs: &[J],
        properties: &BasicProperties,
        limit: Duration,
        blocked: impl Fn(bool),
    ) -> Result<(), Unconfirmed> {
        self.confirms.clear();
        let mut sending: Vec<_> = jobs
            .iter()
            .map(|job| send(channel, queue, job.as_ref(), properties.clone()))
            .map(|send| Box::pin(maybe_done(send)))
            .collect();
        hand_over(&mut sending).await;
        for mut sent in sending {
            let taken = async {
                sent.as_mut().await;
                // It is there: nobody has taken it before.
                sent.as_mut().take_output().unwrap_or(Err(Unconfirmed::TimedOut))
            };
            let confirm = confirm::in_time(connection, taken, limit, &blocked).await?;
            self.confirms.push(maybe_done(confirm));
        }
        for confirm in &mut self.confirms {
            let confirmed = async {
                (&mut *confirm).await;
                match confirm {
                    MaybeDone::Done(Err(error)) => Err(Unconfirmed::Failed(fault(error))),
                    _ => Ok(()),
                }
            };
            confirm::in_time(connection, confirmed, limit, &blocked).await?;
        }
        Ok(())
    }

    /// Takes out of `jobs` what stands in the queue, and says what became of the worst of those that
    /// the broker has answered. Nothing is awaited.
    ///
    /// A returned message is reported on whichever confirm completes next, at the latest on its own.
    /// So, of all that are completed: where any reports one, none counts, and where none does, all do.
    /// Where not all were sent there are confirms that nobody has seen, and none counts either.
    pub(super) fn settle<J>(&mut self, jobs: &mut Vec<J>) -> Fate {
        let answers: Vec<Option<Confirmation>> = self
            .confirms
            .drain(..)
            .map(|mut confirm| {
                (&mut confirm).now_or_never()?;
                Pin::new(&mut confirm).take_output()?.ok()
            })
            .collect();
        settle(answers, jobs)
    }
}

fn settle<J>(answers: Vec<Option<Confirmation>>, jobs: &mut Vec<J>) -> Fate {
    let mut worst = Fate::Confirmed;
    let mut confirmed = Vec::with_capacity(answers.len());
    for answer in answers {
        let nacked = answer.as_ref().is_some_and(Confirmation::is_nack);
        confirmed.push(answer.is_some() && !nacked);
        if answer.and_then(Confirmation::take_message).is_some() {
            worst = Fate::Returned;
        } else if nacked && worst == Fate::Confirmed {
            worst = Fate::Nacked;
        }
    }
    if worst != Fate::Returned && confirmed.len() == jobs.len() {
        let mut confirmed = confirmed.into_iter();
        jobs.retain(|_| !confirmed.next().unwrap_or(false));
    }
    worst
}

async fn send(
    channel: &Channel,
    queue: &ShortString,
    job: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm, Unconfirmed> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel
        .basic_publish(ShortString::default(), queue.clone(), options, job, properties)
        .await
        .map_err(|error| Unconfirmed::Failed(fault(&error)))
}

/// Polls each once, in order: that puts its frames into the connection's queue.
async fn hand_over<F: Future>(sending: &mut [Pin<Box<MaybeDone<F>>>]) {
    poll_fn(|context| {
        for send in &mut *sending {
            let _ = send.as_mut().poll(context);
        }
        Poll::Ready(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use lapin::message::{BasicReturnMessage, Delivery};

    use super::*;

    fn returned() -> BasicReturnMessage {
        let delivery = Delivery::mock(0, "".into(), "revocations".into(), false, Vec::new());
        BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
    }

    /// The jobs that are left, and the worst that became of the others.
    fn left(answers: Vec<Option<Confirmation>>) -> (Vec<u32>, Fate) {
        let mut jobs = vec![1, 2, 3, 4];
        let worst = settle(answers, &mut jobs);
        (jobs, worst)
    }

    #[test]
    fn what_is_confirmed_is_done() {
        let ack = || Some(Confirmation::Ack(None));
        assert_eq!(left(vec![ack(), ack(), ack(), ack()]), (vec![], Fate::Confirmed));
        assert_eq!(left(vec![ack(), None, ack(), None]), (vec![2, 4], Fate::Confirmed));
    }

    #[test]
    fn where_not_all_were_sent_none_is_done() {
        assert_eq!(left(vec![]), (vec![1, 2, 3, 4], Fate::Confirmed));
        assert_eq!(left(vec![Some(Confirmation::Ack(None))]), (vec![1, 2, 3, 4], Fate::Confirmed));
    }

    #[test]
    fn a_nack_counts_for_its_job_alone() {
        let answers = vec![
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Nack(None)),
            None,
            Some(Confirmation::Ack(None)),
        ];
        assert_eq!(left(answers), (vec![2, 3], Fate::Nacked));
    }

    #[test]
    fn where_any_is_returned_none_is_done() {
        let answers = vec![
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Ack(Some(returned()))),
            Some(Confirmation::Nack(None)),
            None,
        ];
        assert_eq!(left(answers), (vec![1, 2, 3, 4], Fate::Returned));
    }
}
