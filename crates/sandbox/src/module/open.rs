use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::modules::OpenModule;

/// How many modules are kept open; the one longest unused goes first.
const MOST: usize = 256;

/// The modules that are open, by the digest of what they were opened from.
#[derive(Default)]
pub(super) struct OpenModules(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    modules: HashMap<[u8; 32], (u64, Arc<OpenModule>)>,
    uses: u64,
}

impl OpenModules {
    /// Finds an open module.
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Arc<OpenModule>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let (last_use, module) = kept.modules.get_mut(digest)?;
        *last_use = uses;
        Some(module.clone())
    }

    /// Keeps a module open.
    pub(super) fn keep(&self, digest: [u8; 32], module: Arc<OpenModule>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        kept.modules.insert(digest, (uses, module));
        if kept.modules.len() > MOST {
            let oldest = kept.modules.iter().min_by_key(|(_, (last_use, _))| *last_use);
            if let Some(digest) = oldest.map(|(digest, _)| *digest) {
                kept.modules.remove(&digest);
            }
        }
    }
}
