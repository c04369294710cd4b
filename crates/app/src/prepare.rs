use std::collections::BTreeSet;

use greensand_sandbox::{ImageError, Sandbox};
use greensand_types::Language;

use crate::settings::Settings;
use crate::spend::free_though_capped;
use crate::{Event, Observer};

/// Makes or maps the images of the languages and packages that a project uses, so that no task waits for them. It warns of what a
/// person should know before anything is asked: of a cap on money that bounds nothing.
///
/// It blocks: the first time on a machine for seconds, later for a moment.
///
/// # Errors
/// When an image cannot be made.
pub fn prepare(sandbox: &Sandbox, settings: &Settings, observer: &dyn Observer) -> Result<(), ImageError> {
    let languages: BTreeSet<&Language> =
        [Some(&settings.functions.language), settings.agent.code_tool.as_ref()].into_iter().flatten().collect();
    for language in languages {
        sandbox.prepare_image(language, &|progress| observer.event(Event::PreparingImage { language, progress }))?;
        observer.event(Event::ImageReady { language });
    }
    if !settings.functions.packages.is_empty() {
        let language = &settings.functions.language;
        let progress = |progress| observer.event(Event::PreparingImage { language, progress });
        sandbox.prepare_packages(language, &[], &progress)?;
        observer.event(Event::ImageReady { language });
    }
    if let Some(message) = free_though_capped(settings) {
        observer.event(Event::Warning { message: &message });
    }
    Ok(())
}
