use std::time::Instant;

use greensand_app::{Environment, ImageKeeping, ImageOrigin};

use super::report::Measurement;
use super::{Bench, Mode, common, milliseconds};
use crate::failure::Failure;

impl Bench<'_> {
    /// Measures an image that is in the cache: how large it is, and how long it takes to open.
    pub(super) fn image(&self) -> Result<Vec<Measurement>, Failure> {
        // Makes it if need be.
        drop(self.sandbox(1, Mode::Prepared)?);
        let started = Instant::now();
        let sandbox = common::open_sandbox_as(self.environment, |settings| settings)?;
        let report = sandbox.prepare_image(&self.language, &|_| {})?;
        let elapsed = milliseconds(started.elapsed());
        let covers = match report.origin {
            ImageOrigin::Cache | ImageOrigin::Open => "start the engine and the workers, check the image, map it",
            ImageOrigin::Made { .. } => "made again: the cache does not keep it, see `greensand doctor`",
        };
        let mut rows = vec![self.named("image.open", "image, from the cache").value(elapsed, "ms").covers(covers)];
        rows.extend(self.size(&report.keeping));
        Ok(rows)
    }

    /// Makes the image in a cache folder of its own.
    pub(super) fn fresh_image(&self) -> Result<Vec<Measurement>, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::no(format!("cannot make a folder: {error}")))?;
        let cache = folder.path().to_string_lossy().into_owned();
        let environment = Environment::of([("GREENSAND_CACHE", cache.as_str())], folder.path());
        let sandbox = common::open_sandbox_as(&environment, |settings| settings)?;
        let started = Instant::now();
        common::prepare_image(&sandbox, &self.language, self.terminal)?;
        let elapsed = started.elapsed().as_secs_f64();
        let covers = "unpack, start, snapshot, compile, keep";
        Ok(vec![self.named("image.make", "image, made").value(elapsed, "s").covers(covers)])
    }

    fn size(&self, keeping: &ImageKeeping) -> Option<Measurement> {
        let ImageKeeping::Kept { bytes } = keeping else { return None };
        #[expect(clippy::cast_precision_loss, reason = "a size in bytes")]
        let size = *bytes as f64 / f64::from(1 << 20);
        Some(self.named("image.size", "image, on disk").value(size, "MiB").covers("native code and library"))
    }
}
