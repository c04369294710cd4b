use std::ops::Range;
use std::sync::Arc;

use wasmtime::{AsContextMut, Global, Instance, Val};

use super::audit::global_name;
use super::pages::{Pagemap, faults, keep_small};
use super::pristine::Pristine;
use crate::call::Guest;

/// A page of memory, in bytes. Where the kernel's are larger its ranges are multiples of it.
const PAGE: usize = 4096;

/// Private memory above which an instance is not used again, in bytes: to restore it takes longer than a new one.
const MOST_PRIVATE: usize = 16 << 20;

/// Private memory up to which every page is restored unseen, in bytes.
const FEW_PRIVATE: usize = 1 << 20;

/// How many calls in a row may leave most of a large private memory alone before the instance is given up.
const IDLE_CALLS: u32 = 8;

/// What it takes to make one instance as new, as long as it stays on its thread.
pub(super) struct Reset {
    pristine: Arc<Pristine>,
    globals: Vec<Global>,
    /// The private pages of the memory, complete when the thread had had `faults` page faults.
    private: Vec<Range<usize>>,
    faults: Option<u64>,
    idle_calls: u32,
}

/// Why an instance cannot be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// Its memory grew.
    Grown,
    /// More pages are its own than are worth restoring.
    TooDirty,
    /// The kernel would not say which pages are its own.
    NotScanned,
}

impl Reset {
    /// Gets ready to restore an instance that was just made, and has not run yet.
    ///
    /// # Errors
    /// When it has no such globals, or its pages cannot be told apart reliably.
    pub(super) fn of(guest: &mut Guest, pristine: Arc<Pristine>) -> wasmtime::Result<Self> {
        let (store, instance) = guest.store_and_instance();
        let globals = u32::try_from(pristine.globals().len()).expect("they were counted in 32 bits");
        let globals = find_globals(store, &instance, globals)?;
        keep_small(guest.memory())?;
        Ok(Self { pristine, globals, private: Vec::new(), faults: None, idle_calls: 0 })
    }

    /// Puts memory and globals back to what they were when the instance was made.
    ///
    /// Everything else that belongs to an instance cannot have changed: see [`super::audit`].
    pub(super) fn restore(&mut self, guest: &mut Guest, pagemap: &Pagemap) -> Result<(), GivenUp> {
        if guest.memory().len() != self.pristine.memory().len() {
            return Err(GivenUp::Grown);
        }
        if self.faults.is_none() || faults() != self.faults {
            self.faults = None;
            pagemap.private_pages(guest.memory(), &mut self.private).map_err(|_| GivenUp::NotScanned)?;
        }
        let private: usize = self.private.iter().map(Range::len).sum();
        if private > MOST_PRIVATE {
            return Err(GivenUp::TooDirty);
        }
        if private > FEW_PRIVATE {
            let changed = self.restore_changed_pages(guest.memory_mut());
            self.idle_calls = if changed > private / 8 { 0 } else { self.idle_calls + 1 };
            if self.idle_calls >= IDLE_CALLS {
                return Err(GivenUp::TooDirty);
            }
        } else {
            self.restore_all_pages(guest.memory_mut());
        }
        let (store, _) = guest.store_and_instance();
        for (global, value) in self.globals.iter().zip(self.pristine.globals()) {
            global.set(&mut *store, *value).expect("the value is that of the same global in an equal instance");
        }
        // Nothing above makes a page of the instance private that was not. Its pages stay its own until it is dropped.
        self.faults = faults();
        Ok(())
    }

    fn restore_all_pages(&self, memory: &mut [u8]) {
        let pristine = self.pristine.memory();
        for range in &self.private {
            memory[range.clone()].copy_from_slice(&pristine[range.clone()]);
        }
    }

    /// Restores the pages that differ, and returns how many bytes they have.
    fn restore_changed_pages(&self, memory: &mut [u8]) -> usize {
        let mut changed = 0;
        for range in &self.private {
            let pages = memory[range.clone()].chunks_mut(PAGE);
            for (page, pristine) in pages.zip(self.pristine.memory()[range.clone()].chunks(PAGE)) {
                if page != pristine {
                    page.copy_from_slice(pristine);
                    changed += page.len();
                }
            }
        }
        changed
    }

    /// Compares a restored instance with a new one, bit by bit; says what differs, if anything does.
    pub(super) fn difference(&self, guest: &mut Guest) -> Option<String> {
        let (memory, pristine) = (guest.memory(), self.pristine.memory());
        if memory.len() != pristine.len() {
            return Some(format!("the memory has {} bytes instead of {}", memory.len(), pristine.len()));
        }
        if memory != pristine {
            let at = memory.iter().zip(pristine).position(|(found, expected)| found != expected);
            return Some(format!("the byte at {} of the memory", at.expect("the two differ")));
        }
        let (store, _) = guest.store_and_instance();
        let mut globals = self.globals.iter().zip(self.pristine.globals());
        let differing = globals.position(|(global, expected)| bits(&global.get(&mut *store)) != bits(expected));
        differing.map(|index| format!("mutable global {index}"))
    }
}

/// Finds the mutable globals of an instance by the names that they were given when the image was made.
pub(super) fn find_globals(
    mut store: impl AsContextMut,
    instance: &Instance,
    count: u32,
) -> wasmtime::Result<Vec<Global>> {
    let missing = |index| wasmtime::Error::msg(format!("the guest does not export its mutable global {index}"));
    let find = |index| instance.get_global(&mut store, &global_name(index)).ok_or_else(|| missing(index));
    (0..count).map(find).collect()
}

/// Returns the bits of a number, which is all that a checked global holds.
fn bits(value: &Val) -> Option<u128> {
    match value {
        Val::I32(value) => Some(u128::from(value.cast_unsigned())),
        Val::I64(value) => Some(u128::from(value.cast_unsigned())),
        Val::F32(bits) => Some(u128::from(*bits)),
        Val::F64(bits) => Some(u128::from(*bits)),
        Val::V128(value) => Some(value.as_u128()),
        Val::FuncRef(_) | Val::ExternRef(_) | Val::AnyRef(_) | Val::ExnRef(_) | Val::ContRef(_) => None,
    }
}
