//! Zstandard (RFC 8878) with any number of frames.
//!
//! `ruzstd` in place of the reference library: it is Rust alone and in use by the standard library
//! itself, where the other would bring a C library into the build. It decodes a single frame; frames
//! behind each other, as `zstd` appends and `pzstd` writes them, are put together here.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// Reads the content of every frame. Memory is what the file asks for as its window, which the decoder
/// bounds at 128 MiB, as the command line tool does.
pub(super) struct Zstd<R> {
    raw: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(raw: R) -> Self {
        Self { raw, decoder: FrameDecoder::new() }
    }

    /// Begins the next frame; `false` if there is none.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.raw.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.raw) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut (&mut self.raw).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(broken(error)),
            }
        }
    }

    /// The checksum that a frame may end with.
    fn verify(&self) -> io::Result<()> {
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(written), Some(calculated)) if written != calculated => {
                Err(broken("a checksum does not match"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            // A decoder without a frame counts as finished.
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.raw, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(broken)?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.verify()?;
            if !self.begin()? {
                return Ok(0);
            }
        }
    }
}

/// The decoder's errors quote marks and sizes of the format, never content.
fn broken(error: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zstd data is broken: {error}"))
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        compress_to_vec(text.as_bytes(), CompressionLevel::Fastest)
    }

    fn read(raw: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        Zstd::new(raw).read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn frames_are_read_one_after_the_other() {
        let long = "a line of text\n".repeat(50_000);
        let skippable = [&[0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let raw = [skippable.clone(), frame("one "), frame(""), skippable, frame(&long)].concat();
        assert_eq!(read(&raw).unwrap(), format!("one {long}"));
        assert_eq!(read(b"").unwrap(), "");
    }

    #[test]
    fn what_is_cut_short_or_changed_is_an_error() {
        let raw = frame(&"0123456789abcdefghij".repeat(1000));
        for cut in [3, raw.len() / 2, raw.len() - 1] {
            assert!(read(&raw[..cut]).is_err(), "cut at {cut}");
        }
        let mut changed = raw.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(read(&changed).unwrap_err().to_string().contains("checksum"));
        assert!(read(&[&raw[..], b"rest"].concat()).is_err());
    }
}
