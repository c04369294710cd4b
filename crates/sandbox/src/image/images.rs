use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use greensand_guest_templates::GuestTemplate;
use greensand_types::{ContentId, Language};
use wasmtime::{Engine, Instance, InstancePre, Module, Store};

use super::library::Library;
use super::make::{MadeImage, WithPackages, make};
use super::native;
use super::store::{ImageKey, ImageStore, Lookup, StoredImage};
use super::{ImageError, ImageKeeping, ImageOrigin, ImageProgress, ImageReport, ImageStage, ImageStatus, PackageSet};
use crate::call::{CallState, link};
use crate::engine;
use crate::slot::{Pristine, Recycling};

/// An open image: instances of it are one mapping away.
pub(crate) struct Image {
    id: ContentId,
    prepared: InstancePre<CallState>,
    library: Option<Arc<Library>>,
    keeping: ImageKeeping,
    recycling: Recycling,
    /// Made at first use; nothing where there can be none.
    pristine: OnceLock<Option<Arc<Pristine>>>,
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
        Ok(Self { id, prepared, library, keeping, recycling, pristine: OnceLock::new() })
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

    /// Returns the instance that restored ones must equal; nothing when instances cannot be used again.
    pub(crate) fn pristine(&self) -> Option<Arc<Pristine>> {
        let Recycling::Possible { globals } = self.recycling else { return None };
        let make = || Pristine::new(self.prepared.module(), globals).ok().map(Arc::new);
        self.pristine.get_or_init(make).clone()
    }

    /// Makes a fresh instance.
    pub(crate) fn instantiate(&self, store: &mut Store<CallState>) -> wasmtime::Result<Instance> {
        self.prepared.instantiate(store)
    }
}

/// The images of a sandbox: one slot per language, then one per set of packages.
pub(crate) struct Images {
    engine: Engine,
    fingerprint: [u8; 32],
    store: ImageStore,
    slots: Vec<Slot>,
}

struct Slot {
    template: &'static GuestTemplate,
    packages: Option<WithBase>,
    /// Locked while the image is made, so that it is made once and everybody waits for it.
    state: Mutex<SlotState>,
}

/// The packages of a slot, and the slot of their language alone.
struct WithBase {
    set: PackageSet,
    base: usize,
}

enum SlotState {
    Empty,
    Open(Arc<Image>),
    /// Making it failed: calls are told so at once, an explicit preparation tries again.
    Failed(Arc<ImageError>),
}

impl Images {
    /// Empty slots for these languages and packages. A set of a language that is not on offer has none.
    pub(crate) fn new(
        engine: Engine,
        store: ImageStore,
        languages: &[&'static GuestTemplate],
        sets: Vec<PackageSet>,
    ) -> Self {
        let slot = |template, packages| Slot { template, packages, state: Mutex::new(SlotState::Empty) };
        let mut slots: Vec<_> = languages.iter().map(|template| slot(*template, None)).collect();
        for set in sets {
            let base = languages.iter().position(|template| template.name == set.language.as_str());
            slots.extend(base.map(|base| slot(languages[base], Some(WithBase { set, base }))));
        }
        Self { fingerprint: engine::fingerprint(&engine), engine, store, slots }
    }

    /// Returns the languages on offer.
    pub(crate) fn languages(&self) -> impl Iterator<Item = &'static GuestTemplate> {
        self.slots.iter().filter(|slot| slot.packages.is_none()).map(|slot| slot.template)
    }

    /// Returns which slot is that of a language without packages.
    pub(crate) fn position(&self, language: &Language) -> Option<usize> {
        self.slots.iter().position(|slot| slot.template.name == language.as_str() && slot.packages.is_none())
    }

    /// Returns which slot is that of packages.
    pub(crate) fn position_with(&self, language: &Language, packages: &[String]) -> Option<usize> {
        self.slots.iter().position(|slot| {
            let set = slot.packages.as_ref().map(|with| &with.set).filter(|set| set.language == *language);
            set.is_some_and(|set| packages.iter().all(|package| set.has(package)))
        })
    }

    /// Returns the names of the packages that a language has, for messages.
    pub(crate) fn package_names(&self, language: &Language) -> Option<String> {
        let sets = self.slots.iter().filter_map(|slot| slot.packages.as_ref()).map(|with| &with.set);
        let names: Vec<_> = sets.filter(|set| set.language == *language).map(PackageSet::names).collect();
        (!names.is_empty()).then(|| names.join("; "))
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
                let opened = self.open(slot, &|_| {});
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
        let (image, origin) = self.open(slot, progress)?;
        let report = report(origin, &image);
        *state = SlotState::Open(Arc::new(image));
        report
    }

    /// Says what the cache holds for a slot.
    pub(crate) fn status(&self, position: usize) -> ImageStatus {
        let key = self.key_of(&self.slots[position]);
        let path = self.store.entry_path(key);
        match self.store.find(key) {
            Lookup::Found(image) => ImageStatus::Cached { path, bytes: image.bytes },
            Lookup::Missing => ImageStatus::Missing,
            Lookup::Invalid(reason) => ImageStatus::Invalid { path, reason },
        }
    }

    fn key_of<'a>(&self, slot: &'a Slot) -> ImageKey<'a> {
        ImageKey::new(slot.template, slot.packages.as_ref().map(|with| &with.set), &self.fingerprint)
    }

    fn open(&self, slot: &Slot, progress: &dyn Fn(ImageProgress)) -> Result<(Image, ImageOrigin), ImageError> {
        let (key, template) = (self.key_of(slot), slot.template);
        if let Some(image) = self.find(key) {
            return Ok((image, ImageOrigin::Cache));
        }
        // Before the lock, which making it takes too.
        let base = slot.packages.as_ref().map(|with| self.open_base(with, template, progress)).transpose()?;
        let _lock = self.store.lock();
        // Whoever held the lock may have made this very image.
        if let Some(image) = self.find(key) {
            return Ok((image, ImageOrigin::Cache));
        }
        let packages = slot.packages.as_ref().zip(base.as_deref());
        let packages = packages.map(|(with, base)| WithPackages { set: &with.set, base });
        let made = make(&self.engine, template, packages.as_ref(), progress)?;
        progress(ImageProgress::at(ImageStage::Keep));
        let origin = ImageOrigin::Made { snapshot: made.snapshot_time, compile: made.compile_time };
        let image = self.keep(key, made).map_err(|error| ImageError::Stage {
            language: template.name.into(),
            stage: ImageStage::Keep,
            source: error.into(),
        })?;
        Ok((image, origin))
    }

    /// Opens the image of the language alone, whose guest compiles the packages.
    fn open_base(
        &self,
        with: &WithBase,
        template: &GuestTemplate,
        progress: &dyn Fn(ImageProgress),
    ) -> Result<Arc<Image>, ImageError> {
        self.prepare(with.base, &with.set.language, progress)?;
        self.for_call(with.base).map_err(|error| ImageError::Stage {
            language: template.name.into(),
            stage: ImageStage::Packages,
            source: error.into(),
        })
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
