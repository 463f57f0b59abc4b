//! Withholds confirms of a broker from the product.

use std::collections::BTreeMap;

/// Octets of a frame before its payload: type, channel, size.
const HEAD: usize = 7;
/// Octets after it.
const END: usize = 1;
/// A frame's type: a method.
const METHOD: u8 = 1;
/// Class and method of a confirm, `basic.ack`.
const ACK: [u8; 4] = [0, 60, 0, 80];
/// Class and method of `channel.close-ok`.
const CLOSE_OK: [u8; 4] = [0, 20, 0, 41];

/// The broker's bytes on one connection, from its first octet.
#[derive(Debug, Default)]
pub struct Confirms {
    partial: Vec<u8>,
    /// The frames that were withheld, with their channels.
    withheld: Vec<(u16, Vec<u8>)>,
    /// The highest tag of each channel that was passed on.
    passed: BTreeMap<u16, u64>,
    /// The highest tag that was withheld.
    highest: u64,
}

impl Confirms {
    /// Scans the next octets, and returns the octets to pass on. With a tag, confirms beyond it are withheld on every
    /// channel.
    pub fn pass(&mut self, octets: &[u8], up_to: Option<u64>) -> Vec<u8> {
        self.partial.extend_from_slice(octets);
        let mut out = Vec::new();
        while let Some(frame) = self.next() {
            self.judge(frame, up_to, &mut out);
        }
        out
    }

    /// The withheld octets that may be passed on now.
    pub fn release(&mut self, up_to: Option<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        for (_, frame) in std::mem::take(&mut self.withheld) {
            self.judge(frame, up_to, &mut out);
        }
        out
    }

    fn judge(&mut self, frame: Vec<u8>, up_to: Option<u64>, out: &mut Vec<u8>) {
        match (Ack::of(&frame), up_to) {
            (Some(ack), Some(most)) if ack.tag > most => {
                self.highest = self.highest.max(ack.tag);
                let passed = self.passed.entry(ack.channel).or_default();
                if ack.multiple && *passed < most {
                    *passed = most;
                    out.extend(with_tag(&frame, most));
                }
                self.withheld.push((ack.channel, frame));
            }
            (Some(ack), _) => {
                self.passed.insert(ack.channel, ack.tag);
                out.extend(frame);
            }
            (None, _) => {
                if method(&frame) == Some(CLOSE_OK) {
                    // A broker sends no confirm after it.
                    let closed = channel(&frame);
                    self.withheld.retain(|(channel, _)| *channel != closed);
                    self.passed.remove(&closed);
                }
                out.extend(frame);
            }
        }
    }

    /// The highest tag that was withheld so far.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The highest tag that was passed on, of the channels that are open.
    pub fn highest_passed(&self) -> u64 {
        self.passed.values().copied().max().unwrap_or_default()
    }

    /// The next whole frame.
    fn next(&mut self) -> Option<Vec<u8>> {
        let size = self.partial.get(3..HEAD)?.try_into().ok().map(u32::from_be_bytes)?;
        let length = HEAD + size as usize + END;
        (self.partial.len() >= length).then(|| self.partial.drain(..length).collect())
    }
}

struct Ack {
    channel: u16,
    tag: u64,
    multiple: bool,
}

impl Ack {
    fn of(frame: &[u8]) -> Option<Self> {
        if method(frame) != Some(ACK) {
            return None;
        }
        let tag = frame.get(HEAD + 4..HEAD + 12)?.try_into().ok().map(u64::from_be_bytes)?;
        Some(Self { channel: channel(frame), tag, multiple: frame.get(HEAD + 12)? & 1 == 1 })
    }
}

fn channel(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[1], frame[2]])
}

fn method(frame: &[u8]) -> Option<[u8; 4]> {
    if frame[0] != METHOD {
        return None;
    }
    frame.get(HEAD..HEAD + 4)?.try_into().ok()
}

fn with_tag(ack: &[u8], tag: u64) -> Vec<u8> {
    let mut frame = ack.to_vec();
    frame[HEAD + 4..HEAD + 12].copy_from_slice(&tag.to_be_bytes());
    frame
}

/// For any division of the stream: confirms up to the tag pass, a multiple confirm is reduced to it, other frames pass,
/// and withheld confirms come with the release.
#[test]
fn confirms_are_withheld_from_a_tag_on() {
    let ack = |channel: u8, tag: u8, multiple: u8| {
        vec![1, 0, channel, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, tag, multiple, 0xCE]
    };
    let heartbeat = vec![8, 0, 0, 0, 0, 0, 0, 0xCE];
    let close_ok = vec![1, 0, 2, 0, 0, 0, 4, 0, 20, 0, 41, 0xCE];
    let said = [
        ack(1, 2, 0),
        ack(1, 9, 1),
        heartbeat.clone(),
        ack(1, 12, 1),
        ack(2, 6, 0),
        close_ok.clone(),
    ];
    let expected = [ack(1, 2, 0), ack(1, 5, 1), heartbeat, close_ok].concat();
    let stream = said.concat();
    for size in 1..=stream.len() {
        let mut confirms = Confirms::default();
        let passed: Vec<u8> =
            stream.chunks(size).flat_map(|chunk| confirms.pass(chunk, Some(5))).collect();
        assert_eq!(passed, expected, "in chunks of {size}");
        assert_eq!(confirms.highest(), 12);
        assert_eq!(confirms.release(None), [ack(1, 9, 1), ack(1, 12, 1)].concat());
        assert_eq!(Confirms::default().pass(&stream, None), stream);
    }
}
