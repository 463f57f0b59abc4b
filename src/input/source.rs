//! Where the bytes come from: a file or standard input, decompressed, without a byte order mark.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::bufread::MultiGzDecoder;

use super::{
    error::OpenError,
    sniff::{self, Compression, UTF_8_MARK},
    zstd::Zstd,
};

/// The name that means standard input.
pub(super) const STDIN: &str = "-";

/// Bytes that are read and looked at in one go.
const BUFFER: usize = 64 * 1024;

/// Decompressed text.
pub(super) type Text = Box<dyn BufRead + Send>;

/// An open file.
pub(super) struct Source {
    pub(super) reader: Text,
    /// Counts the bytes that were read of the file as it lies on disk.
    pub(super) read: Arc<AtomicU64>,
    /// The bytes of the file on disk; `None` for a pipe.
    pub(super) total: Option<u64>,
}

pub(super) fn open(path: &Path) -> Result<Source, OpenError> {
    let (raw, total): (Box<dyn Read + Send>, _) = if path == Path::new(STDIN) {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path)?;
        let about = file.metadata()?;
        (Box::new(file), about.is_file().then_some(about.len()))
    };
    let read = Arc::<AtomicU64>::default();
    let counted = Counted { raw, read: read.clone() };
    let reader = text(BufReader::with_capacity(BUFFER, counted))?;
    Ok(Source { reader, read, total })
}

/// Decompresses what is compressed and looks at the beginning of what comes out.
fn text(mut raw: impl BufRead + Send + 'static) -> Result<Text, OpenError> {
    let mut reader: Text = match sniff::compression(raw.fill_buf()?) {
        Compression::None => Box::new(raw),
        Compression::Gzip => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw))),
        Compression::Zstd => Box::new(BufReader::with_capacity(BUFFER, Zstd::new(raw))),
    };
    let beginning = reader.fill_buf()?;
    sniff::check(beginning)?;
    if beginning.starts_with(UTF_8_MARK) {
        reader.consume(UTF_8_MARK.len());
    }
    Ok(reader)
}

/// Counts what it reads.
struct Counted<R> {
    raw: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
