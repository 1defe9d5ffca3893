//! Which keys may be in the tables, without asking them: nearly every push is new, and this says so.

/// One bit for each hash, which it shares with others. A hash that was put in is always found; one that was not is found
/// too now and then, and more often the fuller the filter is.
#[derive(Debug, Default)]
pub(super) struct KeyFilter {
    /// Bits, 64 in each; a power of two of them, or none as long as nothing was put in.
    words: Vec<u64>,
    keys: usize,
}

/// Bits of the smallest filter.
const MIN_BITS: usize = if cfg!(all(test, debug_assertions)) { 64 } else { 1 << 15 };

/// Bits of the largest: 2 MiB.
const MAX_BITS: usize = 1 << 24;

/// Bits for each key, so that one hash in eight is found by mistake, or fewer.
const BITS_PER_KEY: usize = 8;

/// With fewer for each key it is full: one in four is.
const LEAST_BITS_PER_KEY: usize = 4;

impl KeyFilter {
    /// An empty filter with room for so many keys, as far as any has.
    pub(super) fn for_keys(keys: usize) -> Self {
        let bits = keys.saturating_mul(BITS_PER_KEY).clamp(MIN_BITS, MAX_BITS).next_power_of_two();
        Self { words: vec![0; bits / 64], keys: 0 }
    }

    pub(super) fn insert(&mut self, hash: u32) {
        if self.words.is_empty() {
            *self = Self::for_keys(0);
        }
        let (word, bit) = self.place(hash);
        self.words[word] |= bit;
        self.keys += 1;
    }

    /// False if the hash was never put in.
    pub(super) fn may_hold(&self, hash: u32) -> bool {
        let (word, bit) = self.place(hash);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Which word, and which bit of it.
    fn place(&self, hash: u32) -> (usize, u64) {
        let last = self.words.len().wrapping_mul(64).wrapping_sub(1) as u64;
        let bit = u64::from(hash) & last;
        (usize::try_from(bit / 64).unwrap_or(usize::MAX), 1 << (bit % 64))
    }

    /// How many hashes were put in.
    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// Whether a larger one would serve better, and there is one.
    pub(super) fn is_full(&self) -> bool {
        let bits = self.words.len() * 64;
        bits < MAX_BITS && self.keys > bits / LEAST_BITS_PER_KEY
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_in_is_found(hashes: Vec<u32>, room in 0usize..200) {
            let mut filter = KeyFilter::for_keys(room);
            for hash in &hashes {
                filter.insert(*hash);
            }
            prop_assert!(hashes.iter().all(|hash| filter.may_hold(*hash)));
            prop_assert_eq!(filter.keys(), hashes.len());
        }
    }

    #[test]
    fn with_room_enough_little_else_is_found() {
        let hashes = |from: u32| (from..from + 10_000).map(|n| n.wrapping_mul(0x9e37_79b1));
        let mut filter = KeyFilter::for_keys(10_000);
        hashes(0).for_each(|hash| filter.insert(hash));
        assert!(!filter.is_full());
        let mistakes = hashes(10_000).filter(|hash| filter.may_hold(*hash)).count();
        assert!(mistakes < 10_000 / 7, "{mistakes}");
    }

    #[test]
    fn it_begins_without_memory_is_full_in_time_and_bounded() {
        let mut filter = KeyFilter::default();
        assert!(!filter.may_hold(0) && !filter.may_hold(u32::MAX) && filter.words.is_empty());
        let mut hash = 0;
        while !filter.is_full() {
            filter.insert(hash);
            hash += 1;
        }
        assert_eq!(filter.keys(), MIN_BITS / LEAST_BITS_PER_KEY + 1);

        let mut largest = KeyFilter::for_keys(usize::MAX);
        assert_eq!(largest.words.len() * 64, MAX_BITS);
        (0..100).for_each(|hash| largest.insert(hash));
        assert!(!largest.is_full());
    }
}
