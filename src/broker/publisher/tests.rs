use std::pin::Pin;

use futures_util::FutureExt as _;
use lapin::BasicProperties;

use super::*;
use crate::{broker::outgoing::OutgoingProperties, metrics::Target};

fn message(body: &str) -> OutgoingMessage {
    OutgoingMessage {
        target: Target::Retry,
        queue: "q".into(),
        body: body.into(),
        properties: OutgoingProperties::Copied(BasicProperties::default().into()),
        charge: None,
    }
}

fn body(request: &PublishRequest) -> Option<Vec<u8>> {
    request.take().map(|letter| letter.body)
}

/// A message that was sent to the publisher, and its sender.
fn sent(publisher: &Publisher) -> Pin<Box<dyn Future<Output = Result<(), NotPublished>> + '_>> {
    let mut sending: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(publisher.publish(message("body")));
    assert!(sending.as_mut().now_or_never().is_none(), "nobody has confirmed it");
    sending
}

#[tokio::test]
async fn a_letter_whose_sender_goes_is_gone_where_it_waits() {
    let (publisher, mut inbox) = Publisher::pair();
    drop(sent(&publisher));
    let request = inbox.try_recv().unwrap();
    assert!(!request.is_awaited());
    assert_eq!((body(&request), request.size()), (None, 4));
}

#[tokio::test]
async fn a_letter_whose_sender_goes_while_it_is_on_its_way_is_not_put_back() {
    let (publisher, mut inbox) = Publisher::pair();
    for goes in [false, true] {
        let sending = sent(&publisher);
        let request = inbox.try_recv().unwrap();
        let on_its_way = request.take().unwrap();
        let stays = if goes {
            drop(sending);
            None
        } else {
            Some(sending)
        };
        request.put_back(on_its_way);
        assert_eq!(body(&request).is_some(), stays.is_some());
    }
}

#[tokio::test]
async fn a_waiting_sender_gets_the_result_of_its_message() {
    let (publisher, mut inbox) = Publisher::pair();
    let refusal = Unpublishable { size: 4, why: "406 too large".to_owned() };
    for outcome in [Ok(()), Err(refusal)] {
        let sending = sent(&publisher);
        inbox.try_recv().unwrap().respond(outcome.clone());
        assert_eq!(sending.await, outcome.map_err(NotPublished::Unpublishable));
    }
    let sending = sent(&publisher);
    drop(inbox);
    assert_eq!(sending.await, Err(NotPublished::Closed));
}
