use std::pin::Pin;

use futures_util::FutureExt as _;

use super::*;

fn letter(body: &str) -> OutgoingMessage {
    OutgoingMessage {
        target: None,
        queue: "q".into(),
        body: body.into(),
        properties: BasicProperties::default(),
        charge: None,
    }
}

fn body(posted: &PublishRequest) -> Option<Vec<u8>> {
    posted.take().map(|letter| letter.body)
}

/// A letter that was posted, and its sender.
fn sent(publisher: &Publisher) -> Pin<Box<dyn Future<Output = Result<(), NotPublished>> + '_>> {
    let mut sending: Pin<Box<dyn Future<Output = _>>> = Box::pin(publisher.publish(letter("body")));
    assert!(sending.as_mut().now_or_never().is_none(), "nobody has confirmed it");
    sending
}

#[tokio::test]
async fn a_letter_whose_sender_goes_is_gone_where_it_waits() {
    let (publisher, mut inbox) = Publisher::pair();
    drop(sent(&publisher));
    let posted = inbox.try_recv().unwrap();
    assert!(!posted.is_awaited());
    assert_eq!((body(&posted), posted.size()), (None, 4));
}

#[tokio::test]
async fn a_letter_whose_sender_goes_while_it_is_on_its_way_is_not_put_back() {
    let (publisher, mut inbox) = Publisher::pair();
    for goes in [false, true] {
        let sending = sent(&publisher);
        let posted = inbox.try_recv().unwrap();
        let on_its_way = posted.take().unwrap();
        let stays = if goes {
            drop(sending);
            None
        } else {
            Some(sending)
        };
        posted.put_back(on_its_way);
        assert_eq!(body(&posted).is_some(), stays.is_some());
    }
}

#[tokio::test]
async fn a_sender_that_waits_is_told_what_became_of_its_letter() {
    let (publisher, mut inbox) = Publisher::pair();
    let refusal = Unpublishable { size: 4, why: "406 too large".to_owned() };
    for outcome in [Ok(()), Err(refusal)] {
        let sending = sent(&publisher);
        inbox.try_recv().unwrap().tell(outcome.clone());
        assert_eq!(sending.await, outcome.map_err(NotPublished::Unpublishable));
    }
    let sending = sent(&publisher);
    drop(inbox);
    assert_eq!(sending.await, Err(NotPublished::Closed));
}
