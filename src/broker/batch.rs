//! One batch of letters: sent together, confirmed together.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::{
    Channel, Confirmation, Connection, PublisherConfirm, options::BasicPublishOptions,
    types::ShortString,
};

use super::{
    cause::fault,
    confirm::{self, Unconfirmed},
    publisher::Letter,
};

/// What became of one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its queue has it.
    Confirmed,
    /// Its queue refuses it.
    Nacked,
    /// There is no such queue.
    Returned,
}

/// Sends the letters, then awaits all of their confirms, `limit` at most. While the broker blocks the
/// connection nothing can come, so the deadline stands still, and `blocked` is told.
///
/// # Errors
///
/// [`Unconfirmed`] if the confirms did not come; the channel is of no use any more then.
pub async fn publish<'a>(
    connection: &Connection,
    channel: &Channel,
    letters: impl Iterator<Item = &'a Letter> + Clone,
    limit: Duration,
    blocked: impl Fn(bool),
) -> Result<Vec<Fate>, Unconfirmed> {
    let sent = async {
        let mut confirms = Vec::new();
        for letter in letters.clone() {
            confirms.push(send(channel, letter).await?);
        }
        try_join_all(confirms).await.map_err(|error| Unconfirmed::Failed(fault(&error)))
    };
    let confirmations = confirm::in_time(connection, sent, limit, &blocked).await?;
    Ok(fates(letters.map(|letter| &letter.queue), confirmations))
}

async fn send(channel: &Channel, letter: &Letter) -> Result<PublisherConfirm, Unconfirmed> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel
        .basic_publish(
            ShortString::default(),
            letter.queue.clone(),
            options,
            &letter.body,
            letter.properties.clone(),
        )
        .await
        .map_err(|error| Unconfirmed::Failed(fault(&error)))
}

/// A nack belongs to its letter. A return does not, for the broker reports it on some confirm of the
/// batch: every letter for the returned one's queue counts as returned.
fn fates<'a>(
    queues: impl Iterator<Item = &'a ShortString>,
    confirmations: Vec<Confirmation>,
) -> Vec<Fate> {
    let nacked: Vec<bool> = confirmations.iter().map(Confirmation::is_nack).collect();
    let returned: Vec<ShortString> = confirmations
        .into_iter()
        .filter_map(Confirmation::take_message)
        .map(|message| message.delivery.routing_key)
        .collect();
    queues
        .zip(nacked)
        .map(|(queue, nacked)| match nacked {
            _ if returned.contains(queue) => Fate::Returned,
            true => Fate::Nacked,
            false => Fate::Confirmed,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use lapin::message::{BasicReturnMessage, Delivery};

    use super::*;

    fn returned(queue: &str) -> BasicReturnMessage {
        let delivery = Delivery::mock(0, "".into(), queue.into(), false, Vec::new());
        BasicReturnMessage { delivery, reply_code: 312, reply_text: "NO_ROUTE".into() }
    }

    #[test]
    fn a_return_counts_for_its_queue_whichever_confirm_reports_it() {
        let queues = ["dead", "retry", "dead"].map(ShortString::from);
        let confirmations = vec![
            Confirmation::Ack(None),
            Confirmation::Ack(Some(returned("dead"))),
            Confirmation::Nack(None),
        ];
        let fates = fates(queues.iter(), confirmations);
        assert_eq!(fates, [Fate::Returned, Fate::Confirmed, Fate::Returned]);
    }

    #[test]
    fn a_nack_counts_for_its_letter_alone() {
        let queues = ["dead", "dead"].map(ShortString::from);
        let confirmations = vec![Confirmation::Nack(None), Confirmation::Ack(None)];
        assert_eq!(fates(queues.iter(), confirmations), [Fate::Nacked, Fate::Confirmed]);
    }
}
