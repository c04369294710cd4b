use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says whether anybody still waits for the work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Says whether the work was abandoned.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Abandons the work.
    pub(super) fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
