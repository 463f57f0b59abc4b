//! Finds the runs of characters that a text shares with a form of a secret.

use std::ops::ControlFlow;

use super::{forms::Form, pairs::Pairs, reading::Glyph};

/// The factor of the hashes. It is large and odd, so that similar characters spread.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The bits of the filter before the lookup; a power of two.
const FILTER_BITS: usize = 4096;

/// The hash of each `run` characters in a row, in order.
pub(super) fn hashes(characters: impl Iterator<Item = char> + Clone, run: usize) -> Vec<u64> {
    let run_length = u32::try_from(run).unwrap_or(u32::MAX);
    let leaving_factor = FACTOR.wrapping_pow(run_length);
    let mut leaving = characters.clone();
    let mut hash = 0_u64;
    let mut hashes = Vec::new();
    for (nth, c) in characters.enumerate() {
        hash = hash.wrapping_mul(FACTOR).wrapping_add(u64::from(u32::from(c)));
        if nth >= run
            && let Some(left) = leaving.next()
        {
            hash = hash.wrapping_sub(leaving_factor.wrapping_mul(u64::from(u32::from(left))));
        }
        if nth + 1 >= run {
            hashes.push(hash);
        }
    }
    hashes
}

/// One reading of a text, with its hashed runs.
pub(super) struct Runs {
    glyphs: Vec<Glyph>,
    pairs: Pairs,
    /// One table for each length of runs.
    tables: Vec<(usize, RunTable)>,
}

/// All runs of one length.
struct RunTable {
    /// A filter of the hashes: most lookups fail.
    filter: [u64; FILTER_BITS / 64],
    /// The hashes with their positions, sorted.
    places: Vec<(u64, usize)>,
}

impl RunTable {
    fn new(glyphs: &[Glyph], run: usize) -> Self {
        let mut filter = [0; FILTER_BITS / 64];
        let hashes = hashes(glyphs.iter().map(|glyph| glyph.c), run);
        let mut places: Vec<_> = hashes.into_iter().zip(0..).collect();
        places.sort_unstable();
        for (hash, _) in &places {
            let bit = filter_bit(*hash);
            filter[bit / 64] |= 1 << (bit % 64);
        }
        Self { filter, places }
    }

    /// The indexes into `places` of runs with this hash.
    fn candidates(&self, hash: u64) -> std::ops::Range<usize> {
        let bit = filter_bit(hash);
        if self.filter[bit / 64] >> (bit % 64) & 1 == 0 {
            return 0..0;
        }
        let begins = self.places.partition_point(|(other, _)| *other < hash);
        let ends = begins + self.places[begins..].partition_point(|(other, _)| *other == hash);
        begins..ends
    }
}

fn filter_bit(hash: u64) -> usize {
    let spread = hash.wrapping_mul(FACTOR) >> (64 - FILTER_BITS.trailing_zeros());
    usize::try_from(spread).unwrap_or_default()
}

impl Runs {
    pub(super) fn new(glyphs: Vec<Glyph>) -> Self {
        let pairs = Pairs::of(glyphs.iter().map(|glyph| glyph.c));
        Self { glyphs, pairs, tables: Vec::new() }
    }

    /// Calls `tell` with the byte range of each run that the text shares with a form.
    pub(super) fn search(
        &mut self,
        form: &Form,
        tell: &mut impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let is_short = form.run == 0 || self.glyphs.len() < form.run;
        let pair = |nth: usize| [form.characters[nth], form.characters[nth + 1]];
        if is_short || !self.pairs.may_share(form.characters.len(), pair, form.run) {
            return ControlFlow::Continue(());
        }
        let nth = self.table(form.run);
        let Self { glyphs, tables, .. } = self;
        let table = &tables[nth].1;
        // A run that repeats in both, as in "aaaa", is reported once.
        let mut told = vec![false; table.places.len()];
        let rows = form.hashes().iter().zip(form.characters.windows(form.run)).enumerate();
        for (_, (hash, characters)) in rows.filter(|(nth, _)| form.counts(*nth)) {
            for candidate in table.candidates(*hash) {
                let place = table.places[candidate].1;
                if told[candidate] {
                    break;
                }
                let run = &glyphs[place..place + form.run];
                if run.iter().zip(characters).all(|(glyph, c)| glyph.c == *c) {
                    told[candidate] = true;
                    tell(run[0].from, run[form.run - 1].to)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn table(&mut self, run: usize) -> usize {
        if let Some(nth) = self.tables.iter().position(|(length, _)| *length == run) {
            return nth;
        }
        self.tables.push((run, RunTable::new(&self.glyphs, run)));
        self.tables.len() - 1
    }
}
