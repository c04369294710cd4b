use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greensand_types::ContentId;

use super::Prepared;

/// What an entry takes beside its value: key, places in the two maps, allocations. An estimate that is not too low.
const ENTRY_BYTES: u64 = 256;

/// What a sandbox keeps of functions that were compiled, and how often that was of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PreparedUse {
    /// How many preparations are kept.
    pub functions: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// Calls that found one.
    pub hits: u64,
    /// Calls that found none.
    pub misses: u64,
}

/// Names a preparation: the image, the source and the entry, by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PreparedKey([u8; 32]);

impl PreparedKey {
    /// The key of a source and an entry for the guests of one image.
    pub(crate) fn new(image: ContentId, source: &str, entry: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(image.as_bytes());
        hasher.update(&(source.len() as u64).to_le_bytes());
        hasher.update(source.as_bytes());
        hasher.update(entry.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

/// Preparations by content, within a bound of bytes; the least recently used go first.
#[derive(Debug)]
pub(crate) struct PreparedCache {
    bound: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<PreparedKey, Entry>,
    /// Keys in the order of their last use, by the count of uses at that time.
    order: BTreeMap<u64, PreparedKey>,
    uses: u64,
    bytes: u64,
    hits: u64,
    misses: u64,
}

#[derive(Debug)]
struct Entry {
    prepared: Arc<Prepared>,
    bytes: u64,
    last_use: u64,
}

impl PreparedCache {
    /// An empty cache that keeps up to `bound` bytes, everything counted; with 0 it keeps nothing.
    pub(crate) fn new(bound: u64) -> Self {
        Self { bound, kept: Mutex::default() }
    }

    /// Says whether nothing is ever kept.
    pub(crate) fn is_off(&self) -> bool {
        self.bound == 0
    }

    /// Returns what is kept under a key, if that needed no more memory than `memory` bytes.
    pub(crate) fn get(&self, key: &PreparedKey, memory: u64) -> Option<Arc<Prepared>> {
        let mut kept = self.kept();
        let kept = &mut *kept;
        let found = kept.entries.get_mut(key).filter(|entry| entry.prepared.peak_memory <= memory);
        let Some(entry) = found else {
            kept.misses += 1;
            return None;
        };
        kept.hits += 1;
        kept.order.remove(&entry.last_use);
        kept.uses += 1;
        entry.last_use = kept.uses;
        kept.order.insert(entry.last_use, *key);
        Some(entry.prepared.clone())
    }

    /// Keeps a preparation. One that alone would take a quarter of the room is not kept: it would push out too many.
    pub(crate) fn keep(&self, key: PreparedKey, prepared: Arc<Prepared>) {
        let bytes = ENTRY_BYTES + prepared.size();
        if bytes > self.bound / 4 {
            return;
        }
        let mut kept = self.kept();
        kept.remove(&key);
        while kept.bytes + bytes > self.bound {
            let Some((_, oldest)) = kept.order.first_key_value() else { break };
            let oldest = *oldest;
            kept.remove(&oldest);
        }
        kept.uses += 1;
        let last_use = kept.uses;
        kept.bytes += bytes;
        kept.order.insert(last_use, key);
        kept.entries.insert(key, Entry { prepared, bytes, last_use });
    }

    /// Returns what is kept, and how often that was of use.
    pub(crate) fn used(&self) -> PreparedUse {
        let kept = self.kept();
        let Kept { bytes, hits, misses, .. } = *kept;
        PreparedUse { functions: kept.entries.len() as u64, bytes, hits, misses }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, key: &PreparedKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.last_use);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepared::Preparation;

    fn image() -> ContentId {
        ContentId::of("image").finish()
    }

    fn key(source: &str) -> PreparedKey {
        PreparedKey::new(image(), source, "f")
    }

    fn prepared(bytes: usize) -> Arc<Prepared> {
        let preparation = Preparation::Compiled(vec![0; bytes]);
        Arc::new(Prepared { preparation, stdout: Vec::new(), stderr: Vec::new(), peak_memory: 100 })
    }

    /// A cache with room for ten entries of 1000 bytes.
    fn cache() -> PreparedCache {
        PreparedCache::new(10 * (ENTRY_BYTES + prepared(1000).size()))
    }

    #[test]
    fn a_key_is_made_of_all_its_parts() {
        let keys = [
            PreparedKey::new(image(), "ab", "c"),
            PreparedKey::new(image(), "a", "bc"),
            PreparedKey::new(image(), "abc", ""),
            PreparedKey::new(ContentId::of("another").finish(), "ab", "c"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
        assert_eq!(keys[0], PreparedKey::new(image(), "ab", "c"));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = cache();
        for index in 0..10 {
            cache.keep(key(&index.to_string()), prepared(1000));
        }
        assert!(cache.get(&key("0"), 100).is_some());
        cache.keep(key("10"), prepared(1000));
        assert!(cache.get(&key("1"), 100).is_none());
        assert!(["0", "2", "9", "10"].iter().all(|source| cache.get(&key(source), 100).is_some()));
    }

    #[test]
    fn the_bound_holds_whatever_is_kept() {
        let cache = cache();
        for index in 0..1000_usize {
            cache.keep(key(&(index % 300).to_string()), prepared(index * 37 % 2500));
            let kept = cache.kept.lock().unwrap();
            let sum: u64 = kept.entries.values().map(|entry| entry.bytes).sum();
            assert!(kept.bytes == sum && sum <= cache.bound && kept.order.len() == kept.entries.len());
        }
        cache.keep(key("large"), prepared(100_000));
        assert!(cache.get(&key("large"), 100).is_none());
        assert!(!cache.kept.lock().unwrap().entries.is_empty(), "what is too large pushes nothing out");
    }

    #[test]
    fn what_needed_more_memory_than_a_call_may_have_is_not_there_for_it() {
        let cache = cache();
        cache.keep(key("a"), prepared(1));
        assert!(cache.get(&key("a"), 99).is_none());
        assert!(cache.get(&key("a"), 100).is_some());
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let cache = PreparedCache::new(0);
        cache.keep(key("a"), prepared(1));
        assert!(cache.is_off() && cache.get(&key("a"), 100).is_none());
    }
}
