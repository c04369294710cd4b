//! The compilers of this machine, each looked for once and by a thread of its own: it may take minutes, and nobody who
//! waits holds anything meanwhile.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use futures::channel::oneshot;
use greensand_guest_templates::{GuestTemplate, Recipe};
use greensand_types::ContentId;

use super::builds::REMEMBERED;
use super::toolchain::{self, Toolchain, ToolchainStatus};
use super::{runtime, toolchain::recipe_id};
use crate::module::{ModuleRefusal, Unopened};

/// The compilers that were looked for, by language.
pub(super) struct Toolchains {
    shared: Arc<Shared>,
}

struct Shared {
    /// The folders in which compilers are looked for.
    folders: Vec<PathBuf>,
    cache: PathBuf,
    known: Mutex<HashMap<&'static str, Looked>>,
    /// What decides the builds of each language, by its name.
    recipes: Mutex<HashMap<&'static str, ContentId>>,
    is_closed: AtomicBool,
}

/// What is known of a compiler.
enum Looked {
    /// A thread looks for it, for these: they are told by being dropped.
    Looking(Vec<oneshot::Sender<()>>),
    Found(Arc<Toolchain>),
    /// It is missing, or was so at that time.
    Missing(String, Instant),
}

impl Toolchains {
    pub(super) fn new(folders: Vec<PathBuf>, cache: PathBuf) -> Self {
        let (known, recipes, is_closed) = Default::default();
        Self { shared: Arc::new(Shared { folders, cache, known, recipes, is_closed }) }
    }

    /// Returns the compiler of a language; where something is missing, it is looked for again after a while.
    ///
    /// # Errors
    /// Why there is none, or that it is being looked for.
    pub(super) fn get(
        &self,
        template: &'static GuestTemplate,
        recipe: &'static Recipe,
    ) -> Result<Arc<Toolchain>, Unopened> {
        let (ending, ended) = oneshot::channel();
        let mut known = self.shared.known();
        match known.get_mut(template.name) {
            Some(Looked::Found(toolchain)) => return Ok(toolchain.clone()),
            Some(Looked::Missing(reason, since)) if since.elapsed() < REMEMBERED => {
                return Err(ModuleRefusal::NoCompiler(reason.clone()).into());
            }
            Some(Looked::Looking(others)) => {
                others.retain(|other| !other.is_canceled());
                others.push(ending);
                return Err(Unopened::Awaited(ended));
            }
            Some(Looked::Missing(..)) | None => {}
        }
        known.insert(template.name, Looked::Looking(vec![ending]));
        drop(known);
        let looking = Looking { shared: self.shared.clone(), language: template.name, found: None };
        let look = thread::Builder::new().name("gs-toolchain".into()).spawn(move || looking.look(template, recipe));
        // The look that could not begin has ended with its reason.
        match look {
            Ok(_) | Err(_) => Err(Unopened::Awaited(ended)),
        }
    }

    /// Has the compiler of a language looked for again.
    pub(super) fn forget(&self, template: &'static GuestTemplate) {
        let mut known = self.shared.known();
        if let Some(Looked::Found(_)) = known.get(template.name) {
            known.remove(template.name);
        }
    }

    /// Says whether everything that builds of a language need was there once, by whatever version of its compiler.
    pub(super) fn was_open(&self, template: &'static GuestTemplate, recipe: &'static Recipe) -> bool {
        runtime::is_built(template.name, self.recipe_id(template, recipe), &self.shared.cache)
    }

    /// Says whether there is a compiler for a recipe, without building anything.
    pub(super) fn status(&self, recipe: &'static Recipe) -> ToolchainStatus {
        match toolchain::find(recipe, &self.shared.folders, &self.shared.cache, &|| self.shared.is_closed()) {
            Ok(found) => ToolchainStatus::Found(found.version.lines().next().unwrap_or_default().to_owned()),
            Err(status) => status,
        }
    }

    /// Returns the digest of everything that this repository knows of how a language is built.
    pub(super) fn recipe_id(&self, template: &'static GuestTemplate, recipe: &'static Recipe) -> ContentId {
        let mut recipes = self.shared.recipes.lock().unwrap_or_else(PoisonError::into_inner);
        *recipes.entry(template.name).or_insert_with(|| recipe_id(template, recipe))
    }

    /// Ends what is being looked for.
    pub(super) fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, HashMap<&'static str, Looked>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

/// A look for a compiler. When it is dropped, whoever waits goes on, whatever became of it.
struct Looking {
    shared: Arc<Shared>,
    language: &'static str,
    found: Option<Looked>,
}

impl Looking {
    fn look(mut self, template: &'static GuestTemplate, recipe: &'static Recipe) {
        let Shared { folders, cache, .. } = &*self.shared;
        let found = Toolchain::open(template, recipe, folders, cache, &|| self.shared.is_closed());
        self.found = Some(match found {
            Ok(toolchain) => Looked::Found(Arc::new(toolchain)),
            Err(reason) => Looked::Missing(reason, Instant::now()),
        });
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let found = self.found.take().unwrap_or_else(|| {
            let reason = format!("the compiler of `{}` could not be looked for", self.language);
            Looked::Missing(reason, Instant::now())
        });
        let before = self.shared.known().insert(self.language, found);
        // Those who wait are woken without the lock.
        drop(before);
    }
}
