//! Guests that are used again: after a call, everything that it could change is put back.
//!
//! To make an instance of a large interpreter is cheap; to let it run is not, because nearly every page that it writes
//! is a page fault. So a thread keeps instances, and *restores* one after its call: the pages that the kernel names as the
//! instance's own ([`pages`]) from the image, the mutable globals, and the store's data with the limits in it. That this is
//! everything is not a matter of trust in guests: the module was checked for it, instruction by instruction, when its
//! image was made ([`audit`]). What did not come back of itself is thrown away.
//!
//! [`Slots`] gives a call its [`Slot`] and takes it back; `restore` and `pristine` do the work. [`InstanceMode`] says
//! how: `verified` compares every restored instance with a new one, `fresh` never uses one again.

mod audit;
mod mode;
mod pages;
mod pristine;
mod restore;
mod slots;

pub use audit::Recycling;
pub(crate) use audit::{Audited, audit};
pub use mode::{InstanceMode, InstanceUse};
pub(crate) use pristine::Pristine;
pub(crate) use slots::{KEPT_PER_THREAD, Slots};
