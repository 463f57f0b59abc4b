//! The connections that a relay holds, chosen by their first bytes.

use std::sync::{Mutex, PoisonError};

/// The connections whose bytes are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// No connection.
    None,
    /// All connections.
    All,
    /// Connections whose first bytes contain this name.
    Named(&'static str),
}

impl Held {
    pub fn holds(self, greeting: &Greeting) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(name) => greeting.says(name),
        }
    }
}

/// The first bytes of a connection from the product.
#[derive(Debug, Default)]
pub struct Greeting(Mutex<Vec<u8>>);

impl Greeting {
    /// Bytes that are kept: the protocol's header and the properties of the client.
    const LONGEST: usize = 2_048;

    pub fn hear(&self, words: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = Self::LONGEST.saturating_sub(heard.len());
        heard.extend_from_slice(&words[..words.len().min(room)]);
    }

    /// Whether they hold this name.
    pub fn says(&self, name: &str) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.windows(name.len()).any(|words| words == name.as_bytes())
    }
}
