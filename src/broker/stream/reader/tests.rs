use std::{
    future::poll_fn,
    pin::{Pin, pin},
};

use futures_io::AsyncRead as _;
use lapin::{protocol::basic::parse_properties, types::AMQPValue};
use tokio::{
    io::{AsyncWriteExt as _, DuplexStream, duplex},
    time::advance,
};

use super::*;
use crate::broker::stream::{
    Stream,
    budget::{Account, Budget},
    frames::AROUND,
    handle::StreamEnd,
    invariants::{Cuts, frame, read},
};

/// A low limit that the tests reach.
const OURS: Negotiated = Negotiated { frame_max: 8192, heartbeat: 10 };
const HALF: Duration = Duration::from_secs(5);

/// A stream with a budget, and the broker's end of it.
struct Played {
    stream: Stream<DuplexStream>,
    broker: DuplexStream,
    handle: StreamHandle,
}

fn played(budget: u64) -> Played {
    let (ours, broker) = duplex(1 << 20);
    let handle = StreamHandle::new(Account::new(Budget::new(budget), false), None);
    Played { stream: Stream::new(ours, OURS, handle.clone()), broker, handle }
}

impl Played {
    /// Reads the next bytes into a buffer of `room` bytes.
    async fn read(&mut self, room: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; room];
        let stream = &mut self.stream;
        let count = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await?;
        buffer.truncate(count);
        Ok(buffer)
    }
}

/// A message with this delivery tag: its method, its content header, its body.
fn message(tag: u64, body: &[u8]) -> [Vec<u8>; 3] {
    let method = [&[0, 60, 0, 60, 0][..], &tag.to_be_bytes(), &[0, 0, 0]].concat();
    let header = [&[0, 60, 0, 0][..], &(body.len() as u64).to_be_bytes(), &[0, 0]].concat();
    [frame(1, &method), frame(2, &header), frame(3, body)]
}

#[tokio::test(start_paused = true)]
async fn while_the_budget_is_used_up_nothing_is_read_and_lapin_gets_signs_of_life() {
    let mut played = played(1_000);
    let (first, second) = (message(1, &[1; 700]).concat(), message(2, &[2; 700]));
    played.broker.write_all(&[&first[..], &second.concat()].concat()).await.unwrap();
    // The method of the second is no content yet.
    assert_eq!(played.read(9_000).await.unwrap(), [&first[..], &second[0]].concat());
    assert!(!played.handle.is_stalled());
    for _ in 0..3 {
        let began = Instant::now();
        // The buffer has room for only a part of it.
        let sign = [played.read(5).await.unwrap(), played.read(9_000).await.unwrap()].concat();
        assert_eq!(sign, SIGN_OF_LIFE);
        assert_eq!(began.elapsed(), HALF);
        assert!(played.handle.is_stalled());
    }
    let claim = played.handle.claim(1, 1);
    {
        let mut next = pin!(played.read(9_000));
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        drop(claim);
        assert_eq!(next.await.unwrap(), second[1..].concat());
    }
    assert!(!played.handle.is_stalled());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_can_be_ended() {
    let mut played = played(1_000);
    let sent = [message(1, &[1; 700]).concat(), message(2, &[2; 700]).concat()].concat();
    played.broker.write_all(&sent).await.unwrap();
    played.read(9_000).await.unwrap();
    let handle = played.handle.clone();
    {
        let mut next = pin!(played.read(9_000));
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        handle.end_within(Duration::from_secs(1));
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        advance(Duration::from_secs(1)).await;
        assert_eq!(next.await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
    assert_eq!(handle.end(), Some(StreamEnd::GivenUp));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_its_peer_can_be_ended() {
    let mut played = played(1_000);
    let handle = played.handle.clone();
    let mut next = pin!(played.read(9_000));
    assert!(futures_util::poll!(next.as_mut()).is_pending());
    handle.give_up();
    assert_eq!(next.await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test(start_paused = true)]
async fn the_cause_of_the_streams_end_is_kept() {
    let mut played = played(1_000);
    played.broker.write_all(b"HTTP/1.1 400 Bad Request").await.unwrap();
    let error = played.read(9_000).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(played.handle.cause().unwrap().text, error.to_string());
    assert!(error.to_string().starts_with("the peer sent a frame of type 72"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_closing_peer_is_reported_with_its_last_reason() {
    let mut played = played(1_000);
    let text = [&[1, 64, 4][..], b"bye!", &[0; 4]].concat();
    played.broker.write_all(&frame(1, &[&[0, 10, 0, 50][..], &text].concat())).await.unwrap();
    played.read(9_000).await.unwrap();
    drop(std::mem::replace(&mut played.broker, duplex(1).0));
    assert_eq!(played.read(9_000).await.unwrap(), b"");
    assert_eq!(played.handle.end(), Some(StreamEnd::Closed));
    assert_eq!(played.handle.cause().unwrap().to_string(), "bye! (reply code 320)");
}

/// A content header with properties around this many bytes of headers.
fn heavy(bytes: usize) -> Vec<u8> {
    let value = [&b"\x01hS"[..], &u32::try_from(bytes - 7).unwrap().to_be_bytes()].concat();
    let table = [&value[..], &vec![0xCE; bytes - 7]].concat();
    let length = u32::try_from(table.len()).unwrap().to_be_bytes();
    // Content type, content encoding, headers, message id.
    let properties = [b"\x04json\x04gzip", &length[..], &table, b"\x02id"].concat();
    let flags = 1_u16 << 15 | 1 << 14 | 1 << 13 | 1 << 7;
    [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], &flags.to_be_bytes()[..], &properties].concat()
}

#[test]
fn headers_that_are_larger_than_a_frame_are_left_out() {
    let [method, _, body] = message(1, b"the body");
    for bytes in [8_192, 20_000, 300_000] {
        let sent = [&method[..], &frame(2, &heavy(bytes)), &body, &SIGN_OF_LIFE].concat();
        for most in [1, 7, 100, 5_000, 1 << 20] {
            let (got, error) = read(&sent, Cuts::new(0, most));
            assert_eq!(error, None);
            let got = got.strip_prefix(&method[..]).expect("the method");
            let header =
                got.strip_suffix(&[&body[..], &SIGN_OF_LIFE].concat()[..]).expect("the rest");
            assert!(header.len() < 100 + AROUND, "{}", header.len());
            let (rest, properties) = parse_properties(&header[HEAD + 12..]).unwrap();
            assert_eq!(rest, [0xCE]);
            assert_eq!(properties.content_encoding().as_ref().unwrap().as_str(), "gzip");
            assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "id");
            let headers = properties.headers().as_ref().unwrap().inner();
            let mark = headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
            let expected = ("x-revoker-headers-dropped", AMQPValue::Boolean(true));
            assert_eq!(mark.collect::<Vec<_>>(), [expected]);
        }
    }
    // A header that fits passes unchanged.
    let fits = frame(2, &heavy(8_000));
    assert_eq!(read(&fits, Cuts::new(0, 100)), (fits, None));
}

#[test]
fn a_content_header_that_is_too_large_without_headers_ends_the_stream() {
    let large = |flags: u16| {
        let properties = vec![0; 10_000];
        let payload = [&[0; 12][..], &flags.to_be_bytes(), &properties].concat();
        read(&frame(2, &payload), Cuts::new(0, 100))
    };
    for (flags, fault) in [(0, "has bytes behind its last field"), (1 << 13, "of 10050 bytes")] {
        let (got, error) = large(flags);
        assert_eq!(got, b"");
        assert!(error.as_ref().is_some_and(|error| error.contains(fault)), "{error:?}");
    }
}
