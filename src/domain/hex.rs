//! Bytes as hexadecimal text.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The bytes as lower-case hex, two digits each.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    let mut text = vec![0; 2 * bytes.len()];
    write_hex(bytes, &mut text);
    // Digits are ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// The same, written to `text`, which has exactly two bytes for each of `bytes`.
pub fn write_hex<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
    // Digits are ASCII.
    str::from_utf8(text).unwrap_or_default()
}

/// Reads exactly `N` bytes from hex of either case; `None` for any other text.
#[must_use]
pub fn from_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_either_case_is_read_and_lower_case_is_written() {
        assert_eq!(to_hex(&[0x00, 0x9a, 0xff]), "009aff");
        assert_eq!(write_hex(&[0x00, 0x9a, 0xff], &mut [0; 6]), "009aff");
        assert_eq!(from_hex("009aFF"), Some([0x00, 0x9a, 0xff]));
        for other in ["", "009af", "009aff0", "009agf", "é9aff"] {
            assert_eq!(from_hex::<3>(other), None, "{other}");
        }
    }
}
