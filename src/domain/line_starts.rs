/// The byte positions at which the lines of a text begin.
#[derive(Debug)]
pub struct LineStarts(Vec<usize>);

impl LineStarts {
    /// The lines of `text`.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let after_breaks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Self(std::iter::once(0).chain(after_breaks.map(|(at, _)| at + 1)).collect())
    }

    /// The line of a byte, counted from 1.
    #[must_use]
    pub fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }

    /// The column of a byte, in bytes, counted from 1.
    #[must_use]
    pub fn column(&self, byte: usize) -> usize {
        let start = self.0.get(self.line(byte).saturating_sub(1)).copied().unwrap_or_default();
        byte - start + 1
    }
}
