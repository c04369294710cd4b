//! The memory of a call: linear memory and tables together, against one limit.

use wasmtime::ResourceLimiter;

/// What a table element takes in the host.
const TABLE_ELEMENT_BYTES: usize = size_of::<*const ()>();

/// Counts the memory of one instance and refuses what is above the limit.
///
/// A refused growth is an ordinary answer for the guest (`-1`), so the refusal is kept here as a flag.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    limit: u64,
    in_use: u64,
    peak: u64,
    last_growth: u64,
    was_refused: bool,
    /// How many instances there may be, and how many memories and tables.
    instances: usize,
    memories: usize,
    tables: usize,
}

/// What the parts of one component may sum up to.
pub(crate) const COMPONENT_PARTS: usize = 32;

/// Memories among them.
pub(crate) const COMPONENT_MEMORIES: usize = 4;

impl MemoryMeter {
    /// Counts against a limit in bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, in_use: 0, peak: 0, last_growth: 0, was_refused: false, instances: 1, memories: 1, tables: 1 }
    }

    /// Counts for a component, which is made of several instances with memories and tables of their own.
    pub(crate) fn of_several_instances(self) -> Self {
        Self { instances: COMPONENT_PARTS, memories: COMPONENT_MEMORIES, tables: COMPONENT_PARTS, ..self }
    }

    /// Says whether a growth was refused.
    pub(crate) fn was_refused(&self) -> bool {
        self.was_refused
    }

    /// Returns the most that was in use at once, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// Returns what may still be taken, in bytes.
    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.in_use)
    }

    /// Counts what a nested call used at its peak, while this instance existed beside it.
    pub(crate) fn note_nested(&mut self, peak: u64) {
        self.peak = self.peak.max(self.in_use.saturating_add(peak));
    }

    /// Returns what is in use, in bytes.
    pub(crate) fn in_use(&self) -> u64 {
        self.in_use
    }

    /// Takes more, in bytes; says whether the limit allows it.
    #[must_use]
    pub(crate) fn take(&mut self, growth: u64) -> bool {
        let wanted = self.in_use.saturating_add(growth);
        if wanted > self.limit {
            self.was_refused = true;
            return false;
        }
        self.last_growth = growth;
        self.in_use = wanted;
        self.peak = self.peak.max(wanted);
        true
    }

    /// Takes a growth back that was granted here and then failed in the engine or the kernel.
    fn failed(&mut self) {
        self.was_refused = true;
        self.in_use -= std::mem::take(&mut self.last_growth);
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take(desired.saturating_sub(current) as u64))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take(desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT_BYTES) as u64))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_tables_share_one_limit() {
        let mut meter = MemoryMeter::new(100_000);
        assert!(meter.memory_growing(0, 65_536, None).unwrap());
        assert!(meter.table_growing(0, 4_000, None).unwrap());
        assert!(!meter.was_refused());
        assert!(!meter.table_growing(4_000, 5_000, None).unwrap());
        assert!(meter.was_refused());
        assert_eq!(meter.peak(), 65_536 + 32_000);
    }

    #[test]
    fn a_growth_that_failed_is_not_in_use() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 80, None).unwrap());
        meter.memory_grow_failed(wasmtime::Error::msg("no room")).unwrap();
        assert!(meter.was_refused());
        assert!(meter.memory_growing(0, 90, None).unwrap());
    }
}
