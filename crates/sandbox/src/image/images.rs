use std::sync::{Arc, Mutex, PoisonError};

use greensand_guest_templates::GuestTemplate;
use greensand_types::{ContentId, Language};
use wasmtime::{Engine, Instance, InstancePre, Module, Store};

use super::library::Library;
use super::make::{MadeImage, make};
use super::native;
use super::store::{ImageKey, ImageStore, Lookup, StoredImage};
use super::{ImageError, ImageKeeping, ImageOrigin, ImageProgress, ImageReport, ImageStage, ImageStatus};
use crate::call::{CallState, link};
use crate::engine;
use crate::slot::Recycling;

/// An open image: instances of it are one mapping away.
pub(crate) struct Image {
    id: ContentId,
    prepared: InstancePre<CallState>,
    library: Option<Arc<Library>>,
    keeping: ImageKeeping,
    recycling: Recycling,
}

impl Image {
    fn open(
        id: ContentId,
        module: &Module,
        library: Option<Arc<Library>>,
        keeping: ImageKeeping,
        recycling: Recycling,
    ) -> wasmtime::Result<Self> {
        let prepared = link(module.engine(), module)?.instantiate_pre(module)?;
        Ok(Self { id, prepared, library, keeping, recycling })
    }

    /// Returns the identity of the image: what its guests are, by content.
    pub(crate) fn id(&self) -> ContentId {
        self.id
    }

    /// Returns the engine that the image is for.
    pub(crate) fn engine(&self) -> &Engine {
        self.prepared.module().engine()
    }

    /// Returns the library of the language.
    pub(crate) fn library(&self) -> Option<&Arc<Library>> {
        self.library.as_ref()
    }

    /// Makes a fresh instance.
    pub(crate) fn instantiate(&self, store: &mut Store<CallState>) -> wasmtime::Result<Instance> {
        self.prepared.instantiate(store)
    }
}

/// The images of a sandbox, one slot per language.
pub(crate) struct Images {
    engine: Engine,
    fingerprint: [u8; 32],
    store: ImageStore,
    slots: Vec<Slot>,
}

struct Slot {
    template: &'static GuestTemplate,
    /// Locked while the image is made, so that it is made once and everybody waits for it.
    state: Mutex<SlotState>,
}

enum SlotState {
    Empty,
    Open(Arc<Image>),
    /// Making it failed: calls are told so at once, an explicit preparation tries again.
    Failed(Arc<ImageError>),
}

impl Images {
    /// Empty slots for these languages.
    pub(crate) fn new(engine: Engine, store: ImageStore, languages: &[&'static GuestTemplate]) -> Self {
        let slots = languages.iter().map(|template| Slot { template, state: Mutex::new(SlotState::Empty) });
        Self { fingerprint: engine::fingerprint(&engine), engine, store, slots: slots.collect() }
    }

    /// Returns the languages on offer.
    pub(crate) fn languages(&self) -> impl Iterator<Item = &'static GuestTemplate> {
        self.slots.iter().map(|slot| slot.template)
    }

    /// Returns which slot is that of a language.
    pub(crate) fn position(&self, language: &Language) -> Option<usize> {
        self.slots.iter().position(|slot| slot.template.name == language.as_str())
    }

    /// Returns the language of a slot.
    pub(crate) fn template(&self, position: usize) -> &'static GuestTemplate {
        self.slots[position].template
    }

    /// Returns the image of a slot for a call, opening it at first use. Needs a thread with the stack of a worker.
    ///
    /// # Errors
    /// When it cannot be made, or could not be made before.
    pub(crate) fn for_call(&self, position: usize) -> Result<Arc<Image>, Arc<ImageError>> {
        let slot = &self.slots[position];
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            SlotState::Open(image) => Ok(image.clone()),
            SlotState::Failed(error) => Err(error.clone()),
            SlotState::Empty => {
                let opened = self.open(slot.template, &|_| {});
                let opened = opened.map(|(image, _)| Arc::new(image)).map_err(Arc::new);
                *state = match &opened {
                    Ok(image) => SlotState::Open(image.clone()),
                    Err(error) => SlotState::Failed(error.clone()),
                };
                opened
            }
        }
    }

    /// Opens the image of a slot and says how. Needs a thread with the stack of a worker.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn prepare(
        &self,
        position: usize,
        language: &Language,
        progress: &dyn Fn(ImageProgress),
    ) -> Result<ImageReport, ImageError> {
        let slot = &self.slots[position];
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |origin, image: &Image| {
            let (keeping, recycling) = (image.keeping.clone(), image.recycling.clone());
            Ok(ImageReport { language: language.clone(), origin, keeping, recycling })
        };
        if let SlotState::Open(image) = &*state {
            return report(ImageOrigin::Open, image);
        }
        let (image, origin) = self.open(slot.template, progress)?;
        let report = report(origin, &image);
        *state = SlotState::Open(Arc::new(image));
        report
    }

    /// Says what the cache holds for a slot.
    pub(crate) fn status(&self, position: usize) -> ImageStatus {
        let key = ImageKey::new(self.slots[position].template, &self.fingerprint);
        let path = self.store.entry_path(key);
        match self.store.find(key) {
            Lookup::Found(image) => ImageStatus::Cached { path, bytes: image.bytes },
            Lookup::Missing => ImageStatus::Missing,
            Lookup::Invalid(reason) => ImageStatus::Invalid { path, reason },
        }
    }

    fn open(
        &self,
        template: &'static GuestTemplate,
        progress: &dyn Fn(ImageProgress),
    ) -> Result<(Image, ImageOrigin), ImageError> {
        let key = ImageKey::new(template, &self.fingerprint);
        if let Some(image) = self.find(key) {
            return Ok((image, ImageOrigin::Cache));
        }
        let _lock = self.store.lock();
        // Whoever held the lock may have made this very image.
        if let Some(image) = self.find(key) {
            return Ok((image, ImageOrigin::Cache));
        }
        let made = make(&self.engine, template, progress)?;
        progress(ImageProgress::at(ImageStage::Keep));
        let origin = ImageOrigin::Made { snapshot: made.snapshot_time, compile: made.compile_time };
        let image = self.keep(key, made).map_err(|error| ImageError::Stage {
            language: template.name.into(),
            stage: ImageStage::Keep,
            source: error.into(),
        })?;
        Ok((image, origin))
    }

    /// Opens what the cache holds; what does not verify or does not fit is as good as missing.
    fn find(&self, key: ImageKey<'_>) -> Option<Image> {
        let Lookup::Found(StoredImage { code, recycling, library, bytes }) = self.store.find(key) else { return None };
        let module = native::map(&self.engine, code).ok()?;
        Image::open(key.id, &module, library.map(Arc::new), ImageKeeping::Kept { bytes }, recycling).ok()
    }

    /// Keeps a new image and opens it, from the cache if that works, else from memory.
    fn keep(&self, key: ImageKey<'_>, made: MadeImage) -> wasmtime::Result<Image> {
        let reason = match self.store.keep(key, &made) {
            Ok(_) => match self.find(key) {
                Some(image) => return Ok(image),
                None => "what was written could not be read back".to_owned(),
            },
            Err(reason) => reason,
        };
        let module = native::load(&self.engine, &made.code)?;
        Image::open(key.id, &module, made.library, ImageKeeping::InMemory { reason }, made.recycling)
    }
}
