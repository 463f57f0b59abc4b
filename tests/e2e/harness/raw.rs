//! A producer that writes raw frames, for messages that the client library cannot write.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const END: u8 = 0xCE;

/// The largest payload of a frame, and the most bytes of one: the broker's default.
const FRAME_MAX: u32 = 131_072;
const MOST_PAYLOAD: usize = FRAME_MAX as usize - AROUND;

/// The bytes around the payload of a frame.
const AROUND: usize = 8;

/// The properties of a message, as they are on the wire.
#[derive(Debug, Clone)]
pub struct Properties(Vec<(u16, Vec<u8>)>);

impl Properties {
    /// Content type and delivery mode, as of any job.
    pub fn of_a_job() -> Self {
        Self(vec![(15, short(b"application/json")), (12, vec![2])])
    }

    /// With a short string; `flag` is its bit.
    #[must_use]
    pub fn text(self, flag: u16, text: &[u8]) -> Self {
        self.with(flag, short(text))
    }

    /// With these entries of the headers.
    #[must_use]
    pub fn headers(self, entries: &[u8]) -> Self {
        self.with(13, long(entries))
    }

    fn with(mut self, flag: u16, value: Vec<u8>) -> Self {
        self.0.retain(|(other, _)| *other != flag);
        self.0.push((flag, value));
        self.0.sort_by_key(|(flag, _)| std::cmp::Reverse(*flag));
        self
    }

    /// The payload of a content header.
    pub fn header(&self, body: usize) -> Vec<u8> {
        let flags = self.0.iter().fold(0, |flags, (flag, _)| flags | 1_u16 << flag);
        let mut header = [&[0, 60, 0, 0][..], &(body as u64).to_be_bytes()].concat();
        header.extend(flags.to_be_bytes());
        header.extend(self.0.iter().flat_map(|(_, value)| value));
        header
    }
}

/// A text behind its length of one byte.
pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// Bytes behind their length of four.
pub fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A connection with one confirming channel.
pub struct Raw {
    socket: TcpStream,
}

impl Raw {
    /// Connects.
    pub async fn connect(url: &str) -> Self {
        let url = Url::parse(url).unwrap();
        let address = url.socket_addrs(|| None).unwrap()[0];
        let mut raw = Self { socket: TcpStream::connect(address).await.unwrap() };
        raw.socket.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
        raw.until(10, 10).await;
        let login = format!("\0{}\0{}", url.username(), url.password().unwrap());
        let login = [&long(b"")[..], &short(b"PLAIN"), &long(login.as_bytes()), &short(b"en_US")];
        raw.method(0, 10, 11, &login.concat()).await;
        raw.until(10, 30).await;
        let limits = [&[7, 255][..], &FRAME_MAX.to_be_bytes(), &[0, 0]].concat();
        raw.method(0, 10, 31, &limits).await;
        let host = [&short(&url.path().as_bytes()[1..])[..], &[0, 0]].concat();
        raw.method(0, 10, 40, &host).await;
        raw.until(10, 41).await;
        raw.method(1, 20, 10, &[0]).await;
        raw.until(20, 11).await;
        raw.method(1, 85, 10, &[0]).await;
        raw.until(85, 11).await;
        raw
    }

    /// Publishes to a queue. The broker must accept it.
    pub async fn publish(&mut self, queue: &str, properties: &Properties, body: &[u8]) {
        self.publish_by("", queue.as_bytes(), properties, body).await;
    }

    /// Publishes to an exchange. The broker must accept it.
    pub async fn publish_by(
        &mut self,
        exchange: &str,
        routing_key: &[u8],
        properties: &Properties,
        body: &[u8],
    ) {
        let to = [&[0, 0][..], &short(exchange.as_bytes()), &short(routing_key), &[0]].concat();
        self.method(1, 60, 40, &to).await;
        self.frame(HEADER, 1, &properties.header(body.len())).await;
        for part in body.chunks(MOST_PAYLOAD) {
            self.frame(BODY, 1, part).await;
        }
        // Waits for basic.ack, and fails on basic.nack or the end of the channel.
        self.until(60, 80).await;
    }

    /// Takes one message out of a queue and requeues it. Returns the size of the frame with its properties.
    pub async fn hand_back(&mut self, queue: &str) -> usize {
        let get = [&[0, 0][..], &short(queue.as_bytes()), &[0]].concat();
        self.method(1, 60, 70, &get).await;
        let got = self.until(60, 71).await;
        let (_, header) = self.read().await;
        let size = u64::from_be_bytes(*header[4..].first_chunk().unwrap());
        let mut read = 0;
        while read < size {
            read += self.read().await.1.len() as u64;
        }
        let (tag, requeue) = (&got[4..12], 2);
        self.method(1, 60, 120, &[tag, &[requeue]].concat()).await;
        // Any answer shows that it was read.
        self.method(1, 60, 10, &[0, 0, 0, 0, 0, 0, 0]).await;
        self.until(60, 11).await;
        header.len() + AROUND
    }

    async fn method(&mut self, channel: u16, class: u8, method: u8, arguments: &[u8]) {
        self.frame(METHOD, channel, &[&[0, class, 0, method], arguments].concat()).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend(long(payload));
        frame.push(END);
        self.socket.write_all(&frame).await.unwrap();
    }

    /// Waits for a method of the broker, and fails on any other.
    async fn until(&mut self, class: u8, method: u8) -> Vec<u8> {
        let (kind, payload) = self.read().await;
        let found = (payload[1], payload[3]);
        let said = String::from_utf8_lossy(&payload);
        assert_eq!((kind, found), (METHOD, (class, method)), "the broker says {said}");
        payload
    }

    /// The kind and the payload of the next frame.
    async fn read(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 7];
        self.socket.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; length as usize + 1];
        self.socket.read_exact(&mut payload).await.unwrap();
        assert_eq!(payload.pop(), Some(END));
        (head[0], payload)
    }
}
