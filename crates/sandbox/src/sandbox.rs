use std::sync::Arc;

use greensand_types::{
    BoxFuture, CallOutcome, DescribeOutcome, FunctionRuntime, HostFault, Invocation, Language, Limits, SourceText,
};

use crate::{GuestTemplate, ImageError, ImageProgress, ImageReport, ImageStatus, SandboxSettings};

/// Runs function calls, each in a fresh WebAssembly instance.
///
/// Cheap to clone: clones share the workers and the images. The last one to go ends the workers.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    languages: Vec<&'static GuestTemplate>,
}

/// The sandbox could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenSandboxError {
    /// The engine refuses its settings on this machine.
    #[error("start the WebAssembly engine")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Sandbox {
    /// Opens a sandbox: starts the engine and the workers. Images are made or mapped at first use.
    ///
    /// # Errors
    /// When the engine or the threads cannot start, or when the cache folder is not safe to use.
    pub fn open(settings: SandboxSettings) -> Result<Self, OpenSandboxError> {
        Ok(Self { shared: Arc::new(Shared { languages: settings.languages }) })
    }

    /// Returns the guest languages on offer.
    pub fn languages(&self) -> impl Iterator<Item = &'static GuestTemplate> {
        self.shared.languages.iter().copied()
    }

    /// Makes or maps the image of a language, so that the next call finds it ready.
    ///
    /// # Errors
    /// When there is no such language, or when its image cannot be made. A cache that cannot be written is no error:
    /// the report says so.
    pub fn prepare_image(
        &self,
        _language: &Language,
        _progress: &dyn Fn(ImageProgress),
    ) -> Result<ImageReport, ImageError> {
        todo!()
    }

    /// Says what the cache holds of a language, without making or mapping anything.
    pub fn image_status(&self, _language: &Language) -> ImageStatus {
        todo!()
    }
}

impl FunctionRuntime for Sandbox {
    fn invoke(&self, _invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        todo!()
    }

    fn compile(&self, _source: SourceText, _limits: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        todo!()
    }

    fn describe(
        &self,
        _source: SourceText,
        _entry: String,
        _limits: Limits,
    ) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        todo!()
    }

    fn default_limits(&self, language: &Language) -> Option<Limits> {
        let template = self.languages().find(|template| template.name == language.as_str())?;
        Some(Limits { memory_bytes: template.default_memory_bytes, ..Limits::DEFAULT })
    }
}
