use std::cell::RefCell;
use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use greensand_types::{ContentId, HostFault};

use super::mode::{InstanceMode, InstanceUse};
use super::pages::Pagemap;
use super::restore::Reset;
use crate::call::{CallState, Guest};
use crate::image::Image;

/// How many idle instances a thread keeps; the longest unused go first.
pub(crate) const KEPT_PER_THREAD: usize = 4;

thread_local! {
    /// The idle instances of this thread, each as new, the last used ones last.
    static IDLE: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

/// A guest that serves one call, and may serve another one after that on the same thread.
pub(crate) struct Slot {
    guest: Guest,
    image: ContentId,
    /// Nothing when it serves one call only.
    reset: Option<Reset>,
    /// What is known of its pages is known of one thread.
    _stays: PhantomData<*const ()>,
}

/// Gives guests to calls, and takes them back.
pub(crate) struct Slots {
    mode: Mode,
    fallback: Option<String>,
    made: AtomicU64,
    restored: AtomicU64,
}

enum Mode {
    Recycling { pagemap: Pagemap, verifies: bool },
    Fresh,
}

impl Slots {
    /// Slots of a mode; of another one where the kernel cannot tell which pages a guest has written.
    pub(crate) fn new(mode: InstanceMode) -> Self {
        let verifies = match mode {
            InstanceMode::Pristine => Some(false),
            InstanceMode::Verified => Some(true),
            InstanceMode::Fresh => None,
        };
        Self::with(verifies, Pagemap::open)
    }

    fn with(verifies: Option<bool>, open: impl FnOnce() -> io::Result<Pagemap>) -> Self {
        let (mode, fallback) = match verifies.map(|verifies| (verifies, open())) {
            None => (Mode::Fresh, None),
            Some((verifies, Ok(pagemap))) => (Mode::Recycling { pagemap, verifies }, None),
            Some((_, Err(error))) => {
                (Mode::Fresh, Some(format!("the kernel does not scan page maps (Linux 6.7 and later do): {error}")))
            }
        };
        Self { mode, fallback, made: AtomicU64::new(0), restored: AtomicU64::new(0) }
    }

    /// Says how instances come about, and how often each way was gone.
    pub(crate) fn used(&self) -> InstanceUse {
        let mode = match self.mode {
            Mode::Recycling { verifies: false, .. } => InstanceMode::Pristine,
            Mode::Recycling { verifies: true, .. } => InstanceMode::Verified,
            Mode::Fresh => InstanceMode::Fresh,
        };
        let (made, restored) = (self.made.load(Ordering::Relaxed), self.restored.load(Ordering::Relaxed));
        InstanceUse { mode, fallback: self.fallback.clone(), made, restored }
    }

    /// Takes a clean guest of an image for a call. The state comes back when there can be none.
    pub(crate) fn take(&self, image: &Image, state: CallState) -> Result<Slot, (wasmtime::Error, Box<CallState>)> {
        match take_idle(image.id()) {
            Some(mut slot) => match slot.guest.serve(state) {
                Ok(()) => Ok(slot),
                Err(state) => {
                    keep_idle(slot);
                    Err((wasmtime::Error::msg("the memory limit is below what the guest starts with"), state))
                }
            },
            None => self.make(image, state),
        }
    }

    fn make(&self, image: &Image, state: CallState) -> Result<Slot, (wasmtime::Error, Box<CallState>)> {
        let mut guest = Guest::instantiate(image, state)?;
        self.made.fetch_add(1, Ordering::Relaxed);
        let reset = match self.mode {
            Mode::Recycling { .. } => image.pristine().and_then(|pristine| Reset::of(&mut guest, pristine).ok()),
            Mode::Fresh => None,
        };
        Ok(Slot { guest, image: image.id(), reset, _stays: PhantomData })
    }

    /// Takes the guest of a call back, and returns the call's state. A guest that did not come back of itself, or was
    /// refused memory, is dropped; any other is made as new.
    ///
    /// # Errors
    /// When a guest was made as new and is not.
    pub(crate) fn leave(&self, slot: Slot, came_back: bool) -> Result<CallState, HostFault> {
        let Slot { mut guest, image, reset, _stays } = slot;
        let is_whole = came_back && guest.state().is_undisturbed();
        let (Mode::Recycling { pagemap, verifies }, Some(mut reset), true) = (&self.mode, reset, is_whole) else {
            return Ok(guest.into_state());
        };
        if reset.restore(&mut guest, pagemap).is_err() {
            return Ok(guest.into_state());
        }
        if *verifies && let Some(difference) = reset.difference(&mut guest) {
            let message = format!("a used instance is not as new, please report this with the function: {difference}");
            return Err(HostFault::new(message));
        }
        self.restored.fetch_add(1, Ordering::Relaxed);
        let state = guest.take_state();
        keep_idle(Slot { guest, image, reset: Some(reset), _stays });
        Ok(state)
    }
}

impl Slot {
    /// Returns the guest.
    pub(crate) fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }
}

fn take_idle(image: ContentId) -> Option<Slot> {
    IDLE.with_borrow_mut(|idle| {
        let position = idle.iter().rposition(|slot| slot.image == image)?;
        Some(idle.remove(position))
    })
}

fn keep_idle(slot: Slot) {
    let oldest = IDLE.with_borrow_mut(|idle| {
        idle.push(slot);
        (idle.len() > KEPT_PER_THREAD).then(|| idle.remove(0))
    });
    // Outside of the borrow: to drop an instance takes a while, and is none of the list's business.
    drop(oldest);
}
