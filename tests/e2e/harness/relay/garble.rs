//! Garbles what a connection carries, from a piece of text on: the broker then fails over that message.

/// One direction of one connection.
#[derive(Default)]
pub struct Garble {
    /// The last octets that passed: the text may come in two pieces.
    tail: Vec<u8>,
    began: bool,
}

impl Garble {
    /// Zeroes what stands behind the first occurrence of the text, here and in all that comes. Says whether it
    /// begins here.
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
