//! Reads gzip (RFC 1952) with any number of members, each followed by any number of zeros.
//!
//! The decoder of `flate2` for many members reports the padding of a tape or a block device as a broken header. `gzip`
//! itself reads to the end.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::{padding, sniff::GZIP};

pub(super) struct Gzip<R> {
    /// `None` after the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(raw: R) -> Self {
        Self { member: Some(GzDecoder::new(raw)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let read = member.read(buffer).map_err(broken)?;
            if read > 0 {
                return Ok(read);
            }
            self.member = self.member.take().map(next).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// Returns the next member after a complete one; `None` at the end.
fn next<R: BufRead>(member: GzDecoder<R>) -> io::Result<Option<GzDecoder<R>>> {
    let mut raw = member.into_inner();
    if !padding::skip(&mut raw)? {
        return Ok(None);
    }
    let beginning = raw.fill_buf()?;
    let seen = beginning.len().min(GZIP.len());
    if beginning[..seen] == GZIP[..seen] {
        return Ok(Some(GzDecoder::new(raw)));
    }
    Err(io::Error::new(
        ErrorKind::InvalidData,
        "other data follows the gzip data; get the whole file, or remove that data",
    ))
}

/// The decoder's errors name the format, never content. Errors of the system keep their kind.
fn broken(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            io::Error::new(ErrorKind::UnexpectedEof, "the gzip data is cut short")
        }
        ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            io::Error::new(error.kind(), format!("the gzip data is broken: {error}"))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use flate2::{Compression, GzBuilder, write::GzEncoder};

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// Reads data in pieces of `piece` bytes.
    fn read_by(raw: &[u8], piece: usize) -> io::Result<String> {
        let mut text = String::new();
        let raw = BufReader::with_capacity(piece, raw);
        Gzip::new(raw).read_to_string(&mut text).map(|_| text)
    }

    fn read(raw: &[u8]) -> io::Result<String> {
        read_by(raw, 4096)
    }

    #[test]
    fn members_are_read_one_after_the_other() {
        let named = GzBuilder::new().filename("leak.txt").comment("c").extra(b"e".to_vec());
        let mut named = named.write(Vec::new(), Compression::best());
        named.write_all(b"named ").unwrap();
        let long = "a line of text\n".repeat(50_000);
        let raw = [named.finish().unwrap(), member(""), member("one "), member(&long)].concat();
        for piece in [1, 7, 4096] {
            assert_eq!(read_by(&raw, piece).unwrap(), format!("named one {long}"));
        }
    }

    #[test]
    fn zeros_behind_a_member_are_padding() {
        let zeros = vec![0; 10_000];
        for piece in [1, 7, 4096] {
            let padded = [member("one "), zeros.clone()].concat();
            assert_eq!(read_by(&padded, piece).unwrap(), "one ");
            let two = [&padded[..], &member("two"), &zeros[..512]].concat();
            assert_eq!(read_by(&two, piece).unwrap(), "one two");
        }
    }

    #[test]
    fn other_data_after_the_gzip_data_is_an_error() {
        for junk in [&b"junk"[..], b"\0\0junk", b"\x1f", b"\x1f\x8bjunk", b"\x28\xb5\x2f\xfd"] {
            let error = read(&[&member("one")[..], junk].concat()).unwrap_err();
            assert!(error.to_string().contains("gzip data"), "{error}");
        }
    }

    #[test]
    fn truncated_or_changed_data_is_an_error() {
        let raw = member(&"0123456789abcdefghij".repeat(1000));
        for cut in [3, raw.len() / 2, raw.len() - 1] {
            assert_eq!(read(&raw[..cut]).unwrap_err().kind(), ErrorKind::UnexpectedEof, "{cut}");
        }
        let mut changed = raw.clone();
        // The checksum precedes the length.
        let checksum = changed.len() - 8;
        changed[checksum] ^= 1;
        assert!(read(&changed).unwrap_err().to_string().contains("broken"));
    }

    /// Another read after an error or the end returns no content.
    #[test]
    fn the_end_stays_the_end() {
        let raw = [&member("one")[..], b"junk"].concat();
        let mut gzip = Gzip::new(&raw[..]);
        let mut text = Vec::new();
        assert!(gzip.read_to_end(&mut text).is_err());
        assert_eq!(text, b"one");
        assert_eq!(gzip.read(&mut [0; 8]).unwrap(), 0);
    }
}
