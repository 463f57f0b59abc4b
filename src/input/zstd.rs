//! Reads Zstandard (RFC 8878) with any number of frames.
//!
//! This uses `ruzstd`, which is pure Rust and in use by the standard library. The reference library would add C to
//! the build. `ruzstd` decodes a single frame; this module joins the frames that `zstd` appends and `pzstd` writes.

use std::{
    error::Error,
    io::{self, BufRead, ErrorKind, Read},
};

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use super::padding;

/// The maximum window of a frame, in bytes, which is held in memory. The `zstd` tool has the same limit by default.
const MAX_WINDOW: u64 = 128 << 20;

pub(super) struct Zstd<R> {
    raw: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(raw: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { raw, decoder }
    }

    /// Begins the next frame; `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            // Zeros fill up the last block of a tape.
            if !padding::skip(&mut self.raw)? {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.raw) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.raw).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(cut_short());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(too_large()),
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    fn verify(&self) -> io::Result<()> {
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(written), Some(calculated)) if written != calculated => Err(io::Error::new(
                ErrorKind::InvalidData,
                "the zstd data is broken: a checksum does not match",
            )),
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
                    .map_err(|error| broken(&error))?;
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

/// The decoder's errors name marks and sizes of the format, never content. Errors of the system keep their kind.
fn broken(error: &FrameDecoderError) -> io::Error {
    match of_the_system(error) {
        Some(error) if error.kind() == ErrorKind::UnexpectedEof => cut_short(),
        Some(error) => io::Error::new(error.kind(), error.to_string()),
        None => io::Error::new(ErrorKind::InvalidData, format!("the zstd data is broken: {error}")),
    }
}

/// Finds the system's error among the sources of an error.
fn of_the_system<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

fn cut_short() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the zstd data is cut short")
}

fn too_large() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!(
            "the zstd data needs a window of more than {} MiB; unpack it with zstd -d --long=31",
            MAX_WINDOW >> 20
        ),
    )
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
    fn truncated_or_changed_data_is_an_error() {
        let raw = frame(&"0123456789abcdefghij".repeat(1000));
        for cut in 1..raw.len() {
            let error = read(&raw[..cut]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "cut at {cut}: {error}");
        }
        let skippable = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, b'a', b'b'];
        assert_eq!(read(&skippable).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let mut changed = raw.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(read(&changed).unwrap_err().to_string().contains("checksum"));
        let junk = read(&[&raw[..], b"rest"].concat()).unwrap_err();
        assert_eq!(junk.kind(), ErrorKind::InvalidData, "{junk}");
    }

    #[test]
    fn zeros_behind_a_frame_are_padding() {
        let zeros = [0; 1000];
        let raw = [&frame("one ")[..], &zeros, &frame("two"), &zeros].concat();
        assert_eq!(read(&raw).unwrap(), "one two");
    }

    /// A file determines the memory: by the window, or by the size of a single-segment frame.
    #[test]
    fn a_window_is_bounded() {
        let magic = [0x28, 0xB5, 0x2F, 0xFD];
        // The window is 2 to the power of 10 plus the upper five bits.
        let window = |exponent: u8| [&magic[..], &[0, (exponent - 10) << 3]].concat();
        let in_one_piece = [&magic[..], &[0b1110_0000], &(MAX_WINDOW + 1).to_le_bytes()].concat();
        for raw in [window(28), window(41), in_one_piece] {
            let error = read(&raw).unwrap_err();
            assert!(error.to_string().contains("--long"), "{error}");
        }
        assert_eq!(read(&window(27)).unwrap_err().kind(), ErrorKind::UnexpectedEof, "it may be so");
    }

    /// An error of the disk is not an error of the file.
    #[test]
    fn the_systems_own_fault_stays_its_own() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::TimedOut.into())
            }
        }
        let raw = frame(&"0123456789abcdefghij".repeat(1000));
        for cut in [2, 5, raw.len() / 2, raw.len() - 2] {
            let raw = io::BufReader::new(raw[..cut].chain(Failing));
            let error = io::copy(&mut Zstd::new(raw), &mut io::sink()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "cut at {cut}: {error}");
        }
    }
}
