//! The fingerprint of a token: the only form in which a token is shown.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::hex;

/// The bytes of the digest that are shown. Twelve hex digits distinguish the tokens of one incident and
/// reveal nothing of the token.
const SHOWN_BYTES: usize = 6;

/// The first twelve hex digits of the SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; SHOWN_BYTES]);

impl Fingerprint {
    /// The fingerprint of `token`.
    #[must_use]
    pub fn of(token: &str) -> Self {
        let digest = Sha256::digest(token.as_bytes());
        let mut shown = [0; SHOWN_BYTES];
        shown.copy_from_slice(&digest[..SHOWN_BYTES]);
        Self(shown)
    }

    /// Reads a fingerprint as it is shown, for instance in one of our headers. `None` for anything else.
    #[must_use]
    pub fn parse(shown: &str) -> Option<Self> {
        hex::from_hex(shown).map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex::write_hex(&self.0, &mut [0; 2 * SHOWN_BYTES]))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(hex::write_hex(&self.0, &mut [0; 2 * SHOWN_BYTES]))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_first_twelve_hex_digits_of_sha_256() {
        // The digest of "abc" is a test vector of FIPS 180-4.
        assert_eq!(Fingerprint::of("abc").to_string(), "ba7816bf8f01");
        assert_eq!(format!("{:?}", Fingerprint::of("abc")), "ba7816bf8f01");
    }

    #[test]
    fn a_shown_fingerprint_is_read_again_and_no_other_text_is() {
        assert_eq!(Fingerprint::parse("ba7816bf8f01"), Some(Fingerprint::of("abc")));
        for other in [
            "",
            "ba7816bf8f0",
            "ba7816bf8f012",
            "ba7816bf8f0g",
            "ba7816bf8f0\u{e9}",
            "+a7816bf8f01",
        ] {
            assert_eq!(Fingerprint::parse(other), None, "{other}");
        }
    }
}
