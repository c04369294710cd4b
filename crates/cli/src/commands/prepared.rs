use std::error::Error;

use greensand_app::Sandbox;
use greensand_app::packages::normal;
use greensand_types::{
    BoxFuture, CallOutcome, DescribeOutcome, FunctionRuntime, HostFault, Invocation, Language, Limits, SourceText,
};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::common;
use crate::progress::ImageBar;
use crate::terminal::Terminal;

/// The sandbox, with the making of each image shown when the first call of its language comes.
pub(super) struct Prepared {
    sandbox: Sandbox,
    terminal: Terminal,
    /// One for each language, then one for each language with packages.
    images: Vec<Slot>,
    /// The packages of calls that ask for none, and their language.
    packages: Option<(Language, Vec<String>)>,
}

struct Slot {
    language: Language,
    has_packages: bool,
    /// Packages that cannot be imported are not tried again for each call; whatever else goes wrong may pass.
    image: OnceCell<Result<(), String>>,
}

impl Prepared {
    pub(super) fn new(sandbox: Sandbox, terminal: &Terminal, packages: Option<(Language, Vec<String>)>) -> Self {
        let guests = sandbox.languages().filter(|guest| guest.image().is_some());
        let languages: Vec<Language> = guests.filter_map(|guest| guest.name.parse().ok()).collect();
        let slots = |has_packages| {
            languages.iter().map(move |language| Slot {
                language: language.clone(),
                has_packages,
                image: OnceCell::new(),
            })
        };
        let images = slots(false).chain(slots(true)).collect();
        Self { sandbox, terminal: *terminal, images, packages }
    }

    /// Gives a source the packages that are there for all, or its own by the names that they are known by.
    fn complete(&self, source: &mut SourceText) {
        match &self.packages {
            Some((language, packages)) if source.packages.is_empty() && *language == source.language => {
                source.packages.clone_from(packages);
            }
            Some(_) | None => source.packages.iter_mut().for_each(|package| *package = normal(package)),
        }
    }

    /// Makes or maps the image of a language, once, on a thread that may block.
    async fn prepare(&self, source: &SourceText) -> Result<(), HostFault> {
        let has_packages = !source.packages.is_empty();
        let slot =
            self.images.iter().find(|slot| slot.language == source.language && slot.has_packages == has_packages);
        let is_there = !has_packages || self.sandbox.has_packages(&source.language, &source.packages);
        let Some(Slot { language, image, .. }) = slot.filter(|_| is_there) else {
            // The sandbox says what is wrong with it.
            return Ok(());
        };
        let made = image.get_or_try_init(|| async {
            let (sandbox, bar) = (self.sandbox.clone(), ImageBar::new(language, &self.terminal));
            let (language, packages) = (language.clone(), source.packages.clone());
            let work = spawn_blocking(move || match packages.is_empty() {
                true => sandbox.prepare_image(&language, &|progress| bar.show(progress)),
                false => sandbox.prepare_packages(&language, &packages, &|progress| bar.show(progress)),
            });
            match work.await {
                Ok(Ok(report)) => {
                    common::say_if_not_kept(&report, &self.terminal);
                    Ok(Ok(()))
                }
                Ok(Err(error)) if has_packages => Ok(Err(chain(&error))),
                Ok(Err(error)) => Err(HostFault::caused_by("prepare the language", error)),
                Err(error) => Err(HostFault::caused_by("prepare the language", error)),
            }
        });
        made.await?.as_ref().map_err(|reason| HostFault::caused_by("prepare the language", reason.as_str()))?;
        Ok(())
    }
}

/// An error with its causes, as one text.
fn chain(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl FunctionRuntime for Prepared {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            let mut invocation = invocation;
            self.complete(&mut invocation.source);
            self.prepare(&invocation.source).await?;
            self.sandbox.invoke(invocation).await
        })
    }

    fn compile(&self, source: SourceText, limits: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        self.sandbox.compile(source, limits)
    }

    fn describe(
        &self,
        source: SourceText,
        entry: String,
        limits: Limits,
    ) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        self.sandbox.describe(source, entry, limits)
    }

    fn default_limits(&self, language: &Language) -> Option<Limits> {
        self.sandbox.default_limits(language)
    }
}
