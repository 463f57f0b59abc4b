//! Recognises a file by its first bytes.

use thiserror::Error;

/// Excel and other programs write it in front of UTF-8.
pub(super) const UTF_8_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

pub(super) const GZIP: &[u8] = &[0x1F, 0x8B];
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

/// Skippable zstd frames begin with one of sixteen such marks (RFC 8878, 3.1.2); pzstd writes one first.
const ZSTD_SKIPPABLE: &[u8] = &[0x2A, 0x4D, 0x18];

/// The first bytes of binary files that are often mistaken for text.
const FOREIGN: [(&[u8], NotText); 5] = [
    (&[0xFF, 0xFE], NotText::Utf16),
    (&[0xFE, 0xFF], NotText::Utf16),
    (b"PK\x03\x04", NotText::Zip),
    (b"BZh", NotText::Compressed("bzip2")),
    (&[0xFD, b'7', b'z', b'X', b'Z', 0], NotText::Compressed("xz")),
];

/// The error of a file that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotText {
    /// Some programs call it "Unicode text".
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    #[error("it is a ZIP archive or a spreadsheet; unpack it, or save it as comma-separated CSV")]
    Zip,
    #[error(
        "it is compressed with {0}; gzip and zstd are read as they are, unpack anything else first"
    )]
    Compressed(&'static str),
    /// It has NUL bytes.
    #[error("it is a binary file; jobs are lines of text: NDJSON, CSV, or one token a line")]
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// By the content, not by the name: standard input has none, and no text begins like this.
pub(super) fn compression(beginning: &[u8]) -> Compression {
    let skippable = beginning.first().is_some_and(|first| first & 0xF0 == 0x50)
        && beginning[1..].starts_with(ZSTD_SKIPPABLE);
    if beginning.starts_with(GZIP) {
        Compression::Gzip
    } else if beginning.starts_with(ZSTD) || skippable {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// Checks the first bytes of uncompressed content.
pub(super) fn check(beginning: &[u8]) -> Result<(), NotText> {
    if let Some((_, fault)) = FOREIGN.iter().find(|(mark, _)| beginning.starts_with(mark)) {
        return Err(*fault);
    }
    if beginning.contains(&0) { Err(NotText::Binary) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_is_known_by_its_mark() {
        let cases: [(&[u8], Compression); 8] = [
            (b"", Compression::None),
            (b"{", Compression::None),
            (b"P", Compression::None),
            (b"PQRST", Compression::None),
            (&[0x1F, 0x8B, 8], Compression::Gzip),
            (&[0x28, 0xB5, 0x2F, 0xFD, 4], Compression::Zstd),
            (&[0x50, 0x2A, 0x4D, 0x18, 4], Compression::Zstd),
            (&[0x5F, 0x2A, 0x4D, 0x18], Compression::Zstd),
        ];
        for (beginning, expected) in cases {
            assert_eq!(compression(beginning), expected, "{beginning:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_named() {
        let cases: [(&[u8], Result<(), NotText>); 8] = [
            (b"", Ok(())),
            (b"\xEF\xBB\xBFrefresh_token\r\n", Ok(())),
            ("ñ\t\u{1b}".as_bytes(), Ok(())),
            (b"\xFF\xFEr\0e\0", Err(NotText::Utf16)),
            (b"PK\x03\x04rest", Err(NotText::Zip)),
            (b"BZh91AY", Err(NotText::Compressed("bzip2"))),
            (b"\xFD7zXZ\0\0", Err(NotText::Compressed("xz"))),
            (b"\x7FELF\x02\x01\x01\0", Err(NotText::Binary)),
        ];
        for (beginning, expected) in cases {
            assert_eq!(check(beginning), expected, "{beginning:?}");
        }
    }
}
