//! The results of a batch: what the confirms and the returned messages tell of each message.

use futures_util::FutureExt as _;
use lapin::{Confirmation, message::BasicReturnMessage};

use super::{OutgoingRef, PendingConfirm, PublishResult};

/// The result of each message, by the confirms that have come. Nothing is awaited.
pub(super) fn of<'a, F: Future<Output = lapin::Result<Confirmation>>>(
    messages: impl Iterator<Item = OutgoingRef<'a>>,
    answers: &mut [PendingConfirm<F>],
) -> Vec<PublishResult> {
    with_returns(messages, collect(answers))
}

/// The result of each confirm, and every returned message. Nothing is awaited.
fn collect<F: Future<Output = lapin::Result<Confirmation>>>(
    answers: &mut [PendingConfirm<F>],
) -> Collected {
    let mut pending = Vec::new();
    let mut collected = Collected::with_capacity(answers.len());
    for answer in answers {
        let has_come = answer.as_mut().now_or_never().is_some();
        collected.add(confirmation(answer));
        if !has_come {
            pending.push(answer);
        }
    }
    // A return is reported on the next confirm that completes, at the latest on its own. That confirm may have
    // completed after it was checked.
    for answer in pending {
        let _ = answer.as_mut().now_or_never();
        collected.returned.extend(confirmation(answer).and_then(returned_with));
    }
    collected
}

/// The confirm, if it has come. It stays where it is, because answers are large.
fn confirmation<F: Future<Output = lapin::Result<Confirmation>>>(
    answer: &mut PendingConfirm<F>,
) -> Option<&mut Confirmation> {
    answer.as_mut().output_mut()?.as_mut().ok()
}

/// Takes the returned message that a confirm reports.
const fn returned_with(confirmation: &mut Confirmation) -> Option<BasicReturnMessage> {
    match confirmation {
        Confirmation::Ack(returned) | Confirmation::Nack(returned) => returned.take(),
        Confirmation::NotRequested => None,
    }
}

/// What the confirms of a batch tell.
#[derive(Default)]
struct Collected {
    results: Vec<PublishResult>,
    returned: Vec<BasicReturnMessage>,
}

impl Collected {
    fn with_capacity(messages: usize) -> Self {
        Self { results: Vec::with_capacity(messages), returned: Vec::new() }
    }

    /// Adds what the next confirm tells, if it came.
    fn add(&mut self, confirmation: Option<&mut Confirmation>) {
        self.results.push(match &confirmation {
            None => PublishResult::Unknown,
            Some(Confirmation::Nack(_)) => PublishResult::Nacked,
            Some(Confirmation::Ack(_) | Confirmation::NotRequested) => PublishResult::Confirmed,
        });
        self.returned.extend(confirmation.and_then(returned_with));
    }
}

/// The result of each message. A nack belongs to its message. A return belongs to the message that was returned,
/// whichever confirm reports it. A return that matches no message counts against every message of its queue.
fn with_returns<'a>(
    messages: impl Iterator<Item = OutgoingRef<'a>>,
    Collected { mut results, returned }: Collected,
) -> Vec<PublishResult> {
    if returned.is_empty() {
        return results;
    }
    let messages: Vec<_> = messages.collect();
    for back in returned {
        let is_for_its_queue =
            |message: &OutgoingRef<'_>| *message.queue == back.delivery.routing_key;
        // Equal messages are interchangeable.
        let own = messages.iter().zip(&mut results).find(|(message, result)| {
            **result != PublishResult::Returned
                && is_for_its_queue(message)
                && is_the_same(message, &back)
        });
        if let Some((_, result)) = own {
            *result = PublishResult::Returned;
            continue;
        }
        for (message, result) in messages.iter().zip(&mut results) {
            if is_for_its_queue(message) && *result != PublishResult::Unknown {
                *result = PublishResult::Returned;
            }
        }
    }
    results
}

fn is_the_same(message: &OutgoingRef<'_>, back: &BasicReturnMessage) -> bool {
    message.body == back.delivery.data && message.properties == back.delivery.properties
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{poll_fn, ready},
        pin::Pin,
        rc::Rc,
        task::Poll,
    };

    use futures_util::future::maybe_done;
    use lapin::{BasicProperties, message::Delivery, types::ShortString};

    use super::*;

    fn returned(queue: &str, body: &str) -> BasicReturnMessage {
        let delivery = Delivery::mock(0, "".into(), queue.into(), false, body.into());
        BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
    }

    /// What these confirms tell.
    fn collected(confirmations: Vec<Option<Confirmation>>) -> Collected {
        let mut collected = Collected::default();
        for mut confirmation in confirmations {
            collected.add(confirmation.as_mut());
        }
        collected
    }

    fn results_of<const N: usize>(
        messages: [(&str, &str); N],
        collected: Collected,
    ) -> Vec<PublishResult> {
        let queues = messages.map(|(queue, _)| ShortString::from(queue));
        let outgoing = queues.iter().zip(messages).map(|(queue, (_, body))| OutgoingRef {
            queue,
            body: body.as_bytes(),
            properties: BasicProperties::default(),
        });
        with_returns(outgoing, collected)
    }

    #[test]
    fn a_return_counts_for_its_message_whichever_confirm_reports_it() {
        let messages = [("dead", "a"), ("retry", "b"), ("dead", "b"), ("dead", "c")];
        let confirmations = vec![
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Ack(Some(returned("dead", "b")))),
            Some(Confirmation::Ack(None)),
            None,
        ];
        let results = results_of(messages, collected(confirmations));
        assert_eq!(
            results,
            [
                PublishResult::Confirmed,
                PublishResult::Confirmed,
                PublishResult::Returned,
                PublishResult::Unknown
            ]
        );
    }

    #[test]
    fn of_messages_that_are_the_same_as_many_count_as_came_back() {
        let ack = || Some(Confirmation::Ack(None));
        let back = vec![returned("dead", "a"), returned("dead", "a")];
        let collected = Collected { returned: back, ..collected(vec![ack(), ack(), ack()]) };
        let results = results_of([("dead", "a"); 3], collected);
        assert_eq!(results.iter().filter(|result| **result == PublishResult::Returned).count(), 2);
    }

    #[test]
    fn a_return_of_an_unknown_message_counts_for_its_queue() {
        let messages = [("dead", "a"), ("retry", "b"), ("dead", "c")];
        let confirmations = vec![
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Ack(None)),
            Some(Confirmation::Nack(None)),
        ];
        let results = results_of(
            messages,
            Collected { returned: vec![returned("dead", "other")], ..collected(confirmations) },
        );
        assert_eq!(
            results,
            [PublishResult::Returned, PublishResult::Confirmed, PublishResult::Returned]
        );
    }

    #[test]
    fn a_nack_counts_for_its_message_alone() {
        let confirmations =
            vec![Some(Confirmation::Nack(None)), Some(Confirmation::Ack(None)), None];
        let results = results_of([("dead", "a"); 3], collected(confirmations));
        assert_eq!(
            results,
            [PublishResult::Nacked, PublishResult::Confirmed, PublishResult::Unknown]
        );
    }

    /// The library completes the first confirm, which carries the return, after it was asked for. It completes the
    /// second one, of the returned message, before it is asked for.
    #[test]
    fn a_return_on_a_confirm_that_completes_meanwhile_is_not_missed() {
        type Boxed = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>>>>;
        let completed = Rc::new(Cell::new(false));
        let seen = Rc::clone(&completed);
        let first = poll_fn(move |_| {
            if seen.get() {
                Poll::Ready(Ok(Confirmation::Ack(Some(returned("dead", "b")))))
            } else {
                Poll::Pending
            }
        });
        let second = poll_fn(move |_| {
            completed.set(true);
            Poll::Ready(Ok(Confirmation::Ack(None)))
        });
        let both: [Boxed; 3] =
            [Box::pin(first), Box::pin(second), Box::pin(ready(Ok(Confirmation::Nack(None))))];
        let mut answers: Vec<_> = both.into_iter().map(|one| Box::pin(maybe_done(one))).collect();
        let messages = [("dead", "a"), ("dead", "b"), ("dead", "c")];
        let results = results_of(messages, collect(&mut answers));
        assert_eq!(
            results,
            [PublishResult::Unknown, PublishResult::Returned, PublishResult::Nacked]
        );
    }
}
