//! Opens a file or standard input, decompressed and without a byte order mark.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use memchr::memchr_iter;

use super::{
    ReadProgress,
    error::{InputOpenError, is_of_the_content},
    gzip::Gzip,
    line_ends::{NEWLINE, RETURN},
    sniff::{self, Compression, UTF_8_MARK},
    zstd::Zstd,
};

/// The name of standard input.
pub const STDIN: &str = "-";

/// The bytes of one read.
const BUFFER: usize = 64 * 1024;

pub(super) type Text = Box<dyn BufRead + Send>;

/// Fails if there is no such file, or it is a directory.
pub fn check(path: &Path) -> Result<(), InputOpenError> {
    if path == Path::new(STDIN) {
        return Ok(());
    }
    let about = std::fs::metadata(path).map_err(InputOpenError::of)?;
    if about.is_dir() { Err(InputOpenError::Directory) } else { Ok(()) }
}

pub(super) fn open(path: &Path) -> Result<(Text, ReadProgress), InputOpenError> {
    let (raw, total): (Box<dyn Read + Send>, _) = if path == Path::new(STDIN) {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path).map_err(InputOpenError::of)?;
        let about = file.metadata()?;
        (Box::new(file), about.is_file().then_some(about.len()))
    };
    let progress = ReadProgress { read: Arc::default(), total };
    let counted = CountedReader { raw, progress: progress.clone() };
    Ok((text(BufReader::with_capacity(BUFFER, counted))?, progress))
}

/// Decompresses the content, and checks its first bytes.
fn text(mut raw: impl BufRead + Send + 'static) -> Result<Text, InputOpenError> {
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

/// Whether a file has a carriage return without a line feed after it. If not, a count of line feeds gives the
/// same line numbers.
pub fn has_lone_returns(path: &Path) -> Result<bool, InputOpenError> {
    let (mut text, _) = open(path)?;
    let mut after_return = false;
    loop {
        let part = match text.fill_buf() {
            // No earlier run read past this error.
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

/// Counts the bytes that it reads.
struct CountedReader<R> {
    raw: R,
    progress: ReadProgress,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        self.progress.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
