//! Tables and arrays, at any depth, without recursion.

use super::{Malformed, cursor::Cursor};

/// So deep may tables and arrays be nested, the outermost table included. Producers nest two or three deep, and
/// so does the broker's `x-death`.
pub const MAX_DEPTH: usize = 16;

/// The type of a value that lapin reads as bytes, whatever they are. It is framed like a table.
const BYTES: u8 = b'x';

/// A table or an array that is being read.
#[derive(Debug, Clone, Copy, Default)]
struct TableLevel {
    /// Where its type stands; of no use for the outermost, which has none.
    kind: usize,
    end: usize,
    /// Whether its entries have names.
    named: bool,
}

/// How long a value is, by its type, as lapin reads it.
enum ValueShape {
    Fixed(usize),
    /// A length of 32 bits, and so many bytes.
    Counted,
    /// The same, and the bytes are entries.
    Entries {
        named: bool,
    },
}

const fn shape(kind: u8) -> Option<ValueShape> {
    Some(match kind {
        b'V' => ValueShape::Fixed(0),
        b't' | b'b' | b'B' => ValueShape::Fixed(1),
        b's' | b'U' | b'u' => ValueShape::Fixed(2),
        b'I' | b'i' | b'f' => ValueShape::Fixed(4),
        b'D' => ValueShape::Fixed(5),
        b'L' | b'l' | b'd' | b'T' => ValueShape::Fixed(8),
        b'S' | BYTES => ValueShape::Counted,
        b'A' => ValueShape::Entries { named: false },
        b'F' => ValueShape::Entries { named: true },
        _ => return None,
    })
}

impl Cursor<'_> {
    /// Passes over a table, and mends it. What is nested in it too deep, or cannot be read, becomes bytes.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the outermost table itself cannot be read.
    pub fn table(&mut self) -> Result<(), Malformed> {
        let length = self.u32()?;
        let begin = self.at;
        self.skip(length)?;
        let mut levels = [TableLevel::default(); MAX_DEPTH];
        levels[0] = TableLevel { kind: 0, end: self.at, named: true };
        self.at = begin;
        let mut depth = 1;
        while depth > 0 {
            let level = levels[depth - 1];
            if self.at == level.end {
                depth -= 1;
                continue;
            }
            match self.entry(level) {
                Some(Some(inner)) if depth == MAX_DEPTH => self.as_bytes(inner),
                Some(Some(inner)) => {
                    levels[depth] = inner;
                    depth += 1;
                }
                Some(None) => {}
                None if depth == 1 => return Err(Malformed::Table),
                None => {
                    self.as_bytes(level);
                    depth -= 1;
                }
            }
        }
        Ok(())
    }

    /// Passes over one entry of a table or an array; into it where it has entries itself, and then it is
    /// returned. `None` if it cannot be read.
    #[allow(clippy::option_option, reason = "unreadable, flat, or one with entries of its own")]
    fn entry(&mut self, level: TableLevel) -> Option<Option<TableLevel>> {
        if level.named {
            let [length] = self.within(level.end)?;
            let name = self.passed(level.end, length.into())?;
            self.text(name);
        }
        let kind = self.at;
        let [shape] = self.within(level.end)?;
        let (length, named) = match self::shape(shape)? {
            ValueShape::Fixed(length) => (length, None),
            ValueShape::Counted => (self.length(level.end)?, None),
            ValueShape::Entries { named } => (self.length(level.end)?, Some(named)),
        };
        let value = self.passed(level.end, length)?;
        Some(named.map(|named| {
            self.at = value.start;
            TableLevel { kind, end: value.end, named }
        }))
    }

    /// Makes a table or an array bytes, and passes over it.
    const fn as_bytes(&mut self, level: TableLevel) {
        self.bytes[level.kind] = BYTES;
        self.mended.nesting = true;
        self.at = level.end;
    }
}
