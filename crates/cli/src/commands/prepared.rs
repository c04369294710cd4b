use greensand_app::{ImageKeeping, Sandbox};
use greensand_types::{
    BoxFuture, CallOutcome, DescribeOutcome, FunctionRuntime, HostFault, Invocation, Language, Limits, SourceText,
};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::progress::ImageBar;
use crate::terminal::{Terminal, WARN};

/// The sandbox, with the making of each image shown when the first call of its language comes.
pub(super) struct Prepared {
    sandbox: Sandbox,
    terminal: Terminal,
    images: Vec<(Language, OnceCell<()>)>,
}

impl Prepared {
    pub(super) fn new(sandbox: Sandbox, terminal: &Terminal) -> Self {
        let guests = sandbox.languages().filter(|guest| guest.image().is_some());
        let languages = guests.filter_map(|guest| guest.name.parse().ok());
        let images = languages.map(|language| (language, OnceCell::new())).collect();
        Self { sandbox, terminal: *terminal, images }
    }

    /// Makes or maps the image of a language, once, on a thread that may block.
    async fn prepare(&self, language: &Language) -> Result<(), HostFault> {
        let Some((language, image)) = self.images.iter().find(|(known, _)| known == language) else {
            // The sandbox says what is wrong with it.
            return Ok(());
        };
        let made = image.get_or_try_init(|| async {
            let (sandbox, bar) = (self.sandbox.clone(), ImageBar::new(language, &self.terminal));
            let language = language.clone();
            let work = spawn_blocking(move || sandbox.prepare_image(&language, &|progress| bar.show(progress)));
            match work.await {
                Ok(Ok(report)) => {
                    if let ImageKeeping::InMemory { reason } = report.keeping {
                        let name = report.language;
                        self.terminal
                            .say(format_args!("{WARN}warning{WARN:#}: {name} is prepared again each time: {reason}"));
                    }
                    Ok(())
                }
                Ok(Err(error)) => Err(HostFault::caused_by("prepare the language", error)),
                Err(error) => Err(HostFault::caused_by("prepare the language", error)),
            }
        });
        made.await?;
        Ok(())
    }
}

impl FunctionRuntime for Prepared {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(async move {
            self.prepare(&invocation.source.language).await?;
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
