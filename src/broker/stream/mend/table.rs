//! Repairs tables and arrays of any depth, without recursion.

use super::{Malformed, cursor::Cursor};

/// The deepest nesting of tables and arrays, the outermost included. Producers and the broker's `x-death` nest two or
/// three deep.
pub(super) const MAX_DEPTH: usize = 16;

/// The type that lapin reads as plain bytes. It is framed like a table.
const BYTES: u8 = b'x';

/// A table or array being read.
#[derive(Debug, Clone, Copy, Default)]
struct TableLevel {
    /// The position of its type. Unused for the outermost, which has none.
    kind: usize,
    end: usize,
    /// Whether its entries have names.
    named: bool,
}

/// The length of a value, by its type, as lapin reads it.
enum ValueShape {
    Fixed(usize),
    /// A length of 32 bits, then that many bytes.
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
    /// Skips a table and repairs it. A nested value that is too deep or unreadable becomes bytes. Fails if the
    /// outermost table is unreadable.
    pub(super) fn table(&mut self) -> Result<(), Malformed> {
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

    /// Skips one entry. An entry with entries of its own is entered and returned. `None` if it is unreadable.
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

    /// Turns a table or array into bytes, and skips it.
    const fn as_bytes(&mut self, level: TableLevel) {
        self.bytes[level.kind] = BYTES;
        self.mended.nesting = true;
        self.at = level.end;
    }
}
