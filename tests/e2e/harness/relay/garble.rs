//! Corrupts the data of a connection after a text, so that the broker fails over that message.

/// One direction of one connection.
#[derive(Default)]
pub struct Garble {
    /// The last octets, because the text may be split.
    tail: Vec<u8>,
    began: bool,
}

impl Garble {
    /// Zeroes all octets after the first occurrence of the text. Returns whether the text ends in this chunk.
    pub fn pass(&mut self, chunk: &mut [u8], text: &str) -> bool {
        if self.began {
            chunk.fill(0);
            return false;
        }
        let before = self.tail.len();
        let seen = [&self.tail, &*chunk].concat();
        let found = seen.windows(text.len()).position(|octets| octets == text.as_bytes());
        if let Some(place) = found {
            self.began = true;
            chunk[(place + text.len()).saturating_sub(before)..].fill(0);
        }
        self.tail = seen[seen.len().saturating_sub(text.len() - 1)..].to_vec();
        self.began
    }
}
