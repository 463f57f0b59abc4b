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

use memchr::memchr_iter;

use super::{
    error::{OpenError, is_of_the_content},
    gzip::Gzip,
    line_ends::{NEWLINE, RETURN},
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

/// Fails where nothing can be read by this name: there is nothing, or a directory.
///
/// # Errors
///
/// [`OpenError`], with a sentence for either.
pub fn check(path: &Path) -> Result<(), OpenError> {
    if path == Path::new(STDIN) {
        return Ok(());
    }
    let about = std::fs::metadata(path).map_err(OpenError::of)?;
    if about.is_dir() { Err(OpenError::Directory) } else { Ok(()) }
}

pub(super) fn open(path: &Path) -> Result<Source, OpenError> {
    let (raw, total): (Box<dyn Read + Send>, _) = if path == Path::new(STDIN) {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path).map_err(OpenError::of)?;
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
        Compression::Gzip => Box::new(BufReader::with_capacity(BUFFER, Gzip::new(raw))),
        Compression::Zstd => Box::new(BufReader::with_capacity(BUFFER, Zstd::new(raw))),
    };
    let beginning = reader.fill_buf()?;
    sniff::check(beginning)?;
    if beginning.starts_with(UTF_8_MARK) {
        reader.consume(UTF_8_MARK.len());
    }
    Ok(reader)
}

/// Whether somewhere in a file a carriage return stands without a line feed behind it. Where none does, a
/// count of line feeds numbers the lines in the same way.
///
/// # Errors
///
/// [`OpenError`], as when the file is swept.
pub fn has_lone_returns(path: &Path) -> Result<bool, OpenError> {
    let mut text = open(path)?.reader;
    let mut after_return = false;
    loop {
        let part = match text.fill_buf() {
            // Nobody has come further.
            Err(error) if is_of_the_content(&error) => return Ok(false),
            part => part?,
        };
        if part.is_empty() {
            return Ok(after_return);
        }
        if after_return && part[0] != NEWLINE {
            return Ok(true);
        }
        let last = part.len() - 1;
        if memchr_iter(RETURN, &part[..last]).any(|at| part[at + 1] != NEWLINE) {
            return Ok(true);
        }
        after_return = part[last] == RETURN;
        let read = part.len();
        text.consume(read);
    }
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
