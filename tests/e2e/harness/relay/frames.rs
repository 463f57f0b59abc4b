//! Finds the frames of AMQP in a stream, so that a relay can cut one in two.

/// Octets of a frame before its payload: type, channel, size.
const HEAD: usize = 7;
/// Octets after it.
const END: usize = 1;
/// The client's bytes before its first frame: `AMQP` and a version.
const GREETING: usize = 8;

/// A type of frame with data of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// A method: an ack, for instance.
    Method = 1,
    /// A piece of a message's body.
    Body = 3,
}

/// A frame that was cut, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// The number of octets that were passed on.
    pub passed: usize,
    /// The length of the frame.
    pub length: usize,
}

/// One direction of a connection, followed from its first octet.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    greeting: usize,
    head: Vec<u8>,
    payload: usize,
    /// Octets of the payload and the end that are still to come.
    left: usize,
}

impl Frames {
    /// The direction from a client.
    pub fn of_client() -> Self {
        Self { greeting: GREETING, ..Self::default() }
    }

    /// The direction from a broker.
    pub fn of_broker() -> Self {
        Self::default()
    }

    /// Scans the next octets. If they contain the middle of a frame of type `wanted`, returns the number of octets
    /// before it, and the frame.
    pub fn middle(&mut self, octets: &[u8], wanted: Option<Frame>) -> Option<(usize, Torn)> {
        for (at, octet) in octets.iter().enumerate() {
            if self.greeting > 0 {
                self.greeting -= 1;
            } else if self.head.len() < HEAD {
                self.head.push(*octet);
                if let [_, _, _, size @ ..] = self.head.as_slice()
                    && let Ok(size) = <[u8; 4]>::try_from(size)
                {
                    self.payload = u32::from_be_bytes(size) as usize;
                    self.left = self.payload + END;
                }
            } else {
                self.left -= 1;
                let passed = self.payload + END - self.left;
                let is_wanted = wanted.is_some_and(|wanted| self.head[0] == wanted as u8);
                if is_wanted && passed == self.payload.div_ceil(2) {
                    let torn = Torn { passed: HEAD + passed, length: HEAD + self.payload + END };
                    return Some((at + 1, torn));
                }
                if self.left == 0 {
                    self.head.clear();
                }
            }
        }
        None
    }
}

/// For any division of the stream, the middle of the wanted frame is found.
#[test]
fn the_middle_of_a_frame_is_found() {
    let method = [1, 0, 1, 0, 0, 0, 4, 9, 9, 9, 9, 0xCE];
    let heartbeat = [8, 0, 0, 0, 0, 0, 0, 0xCE];
    let body = [3, 0, 1, 0, 0, 0, 6, 1, 2, 3, 4, 5, 6, 0xCE];
    let stream = [&b"AMQP\x00\x00\x09\x01"[..], &method, &heartbeat, &body].concat();
    let before = stream.len() - body.len();
    for size in 1..=stream.len() {
        let (mut frames, mut seen, mut found) = (Frames::of_client(), 0, None);
        for chunk in stream.chunks(size) {
            if let Some((at, torn)) = frames.middle(chunk, Some(Frame::Body)) {
                found = Some((seen + at, torn));
                break;
            }
            seen += chunk.len();
        }
        let torn = Torn { passed: 10, length: body.len() };
        assert_eq!(found, Some((before + 10, torn)), "in chunks of {size}");
        assert_eq!(Frames::of_client().middle(&stream, None), None);
    }
}
