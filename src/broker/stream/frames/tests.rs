use std::sync::Arc;

use super::{
    super::budget::{Account, Budget},
    *,
};
use crate::broker::stream::invariants::frame;

const OURS: Negotiated = Negotiated { frame_max: 0, heartbeat: 10 };

fn scanner() -> Scanner {
    Scanner::new(OURS, StreamHandle::default())
}

/// Scans the beginning of a stream. Returns the number of passed bytes, and the state after them.
fn scanned(bytes: &[u8]) -> (usize, ScanResult) {
    scanner().scan(&mut bytes.to_vec())
}

/// basic.deliver with this tag; then a content header without properties, of a body of that size.
fn delivery(tag: u64, size: u64) -> Vec<u8> {
    let method = [&[0, 60, 0, 60, 0][..], &tag.to_be_bytes(), &[0, 0, 0]].concat();
    let header = [&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat();
    [frame(METHOD, &method), frame(HEADER, &header)].concat()
}

#[test]
fn a_frame_passes_once_it_is_whole_and_a_body_as_it_comes() {
    let method = frame(METHOD, &[0, 60, 0, 80]);
    let body = frame(BODY, &[7; 100]);
    for (frame, in_parts) in [(method, false), (body, true)] {
        for cut in 1..frame.len() {
            let (passed, next) = scanned(&frame[..cut]);
            if cut < HEAD {
                assert_eq!((passed, next), (0, ScanResult::Needs(HEAD)));
            } else if in_parts {
                assert_eq!((passed, next), (cut, ScanResult::Needs(1)));
            } else {
                assert_eq!((passed, next), (0, ScanResult::Needs(frame.len())));
            }
        }
        assert_eq!(scanned(&frame), (frame.len(), ScanResult::Needs(HEAD)));
    }
}

#[test]
fn an_invalid_frame_is_reported_after_the_valid_ones() {
    let sound = SIGN_OF_LIFE;
    let endless = |kind| {
        let mut frame = frame(kind, &[0, 60, 0, 80]);
        *frame.last_mut().unwrap() = 0;
        frame
    };
    let large = |kind| [&[kind, 0, 1][..], &DEFAULT_FRAME_MAX.to_be_bytes()].concat();
    let too_large = FrameFault::TooLarge { size: 131_080, limit: 131_072 };
    let short = FrameFault::Payload { what: "a content header", fault: Malformed::Short };
    for (bytes, passed, next) in [
        (b"HTTP/1.1 400".to_vec(), 0, ScanResult::Fault(FrameFault::Type(b'H'))),
        (vec![4], 0, ScanResult::Fault(FrameFault::Type(4))),
        (vec![b'A'], 0, ScanResult::Fault(FrameFault::Type(b'A'))),
        (endless(METHOD), 0, ScanResult::Fault(FrameFault::NoEnd)),
        (endless(BODY), HEAD + 4, ScanResult::Fault(FrameFault::NoEnd)),
        (large(METHOD), 0, ScanResult::Fault(too_large)),
        (large(BODY), 0, ScanResult::Fault(too_large)),
        (large(HEADER), 0, ScanResult::Oversized),
        (frame(HEADER, &[0, 60]), 0, ScanResult::Fault(short)),
    ] {
        let all = [&sound[..], &bytes].concat();
        assert_eq!(scanned(&all), (sound.len() + passed, next), "{bytes:?}");
    }
}

#[test]
fn a_broker_of_another_version_may_say_so() {
    assert_eq!(scanned(b"AMQP\x00\x00\x09"), (7, ScanResult::Needs(1)));
    assert_eq!(scanned(b"AMQP\x00\x01\x00\x00"), (8, ScanResult::Needs(HEAD)));
}

#[test]
fn the_limit_of_a_frame_is_the_negotiated_one() {
    let mut scanner = scanner();
    assert_eq!(scanner.limit(), 131_072);
    let limits = [&[7, 255][..], &10_000_u32.to_be_bytes(), &[0, 60]].concat();
    let mut tune = frame(METHOD, &[&[0, 10, 0, 30][..], &limits].concat());
    assert_eq!(scanner.scan(&mut tune), (tune.len(), ScanResult::Needs(HEAD)));
    assert_eq!(scanner.negotiated(), Negotiated { frame_max: 10_000, heartbeat: 10 });
    let mut largest = frame(BODY, &[0; 10_000 - AROUND]);
    assert_eq!(scanner.scan(&mut largest).0, 10_000);
    let mut larger = frame(BODY, &[0; 10_001 - AROUND]);
    let fault = FrameFault::TooLarge { size: 10_001, limit: 10_000 };
    assert_eq!(scanner.scan(&mut larger), (0, ScanResult::Fault(fault)));
}

#[test]
fn a_message_that_does_not_fit_the_budget_waits_before_its_content_header() {
    let account = Account::new(Budget::new(1_000), false);
    let mut scanner = Scanner::new(OURS, StreamHandle::new(Arc::clone(&account), None));
    let mut bytes = [delivery(1, 700), frame(BODY, &[1; 700]), delivery(2, 700)].concat();
    let header = 14 + AROUND;
    let first = bytes.len() - header;
    assert_eq!(scanner.scan(&mut bytes), (first, ScanResult::Waits));
    assert_eq!(scanner.scan(&mut bytes[first..]), (0, ScanResult::Waits));
    drop(account.claim(Delivered { channel: 1, tag: 1 }));
    assert_eq!(scanner.scan(&mut bytes[first..]), (header, ScanResult::Needs(HEAD)));
    drop(account.claim(Delivered { channel: 1, tag: 2 }));
    assert!(account.charge(Delivered { channel: 1, tag: 3 }, 1_000), "all was given back");
}

#[test]
fn a_closed_channel_releases_its_charges() {
    let budget = Budget::new(1_000);
    let account = Account::new(Arc::clone(&budget), false);
    let mut scanner = Scanner::new(OURS, StreamHandle::new(account, None));
    scanner.scan(&mut delivery(1, 700));
    assert!(budget.in_flight() >= 700);
    scanner.scan(&mut frame(METHOD, &[0, 20, 0, 41]));
    assert_eq!(budget.in_flight(), 0);
}
