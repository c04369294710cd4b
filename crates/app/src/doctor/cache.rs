use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Finding, Grade};

/// What the images of the guests take, generously.
const ENOUGH_BYTES: u64 = 256 << 20;

/// Looks at the cache folder: whose it is, who may write to it, and how much room there is.
pub(super) fn examine(folder: &Path) -> Vec<Finding> {
    vec![ownership(folder), room(folder)]
}

/// Native code is mapped from the cache: whoever may write there may run code as us.
pub(super) fn ownership(folder: &Path) -> Finding {
    let shown = folder.display();
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return not_made_yet(folder);
        }
        Err(error) => {
            return Finding::new(Grade::Failed, "cache", format!("`{shown}` cannot be read: {error}"))
                .remedy("export GREENSAND_CACHE=DIR, with a folder of your own");
        }
    };
    let (owner, mode, own) = (metadata.uid(), metadata.mode() & 0o777, rustix::process::geteuid().as_raw());
    if !metadata.is_dir() {
        return Finding::new(Grade::Failed, "cache", format!("`{shown}` is not a folder"))
            .remedy(format!("rm {shown}"));
    }
    if owner != own {
        return Finding::new(Grade::Failed, "cache", format!("`{shown}` belongs to user {owner}, not to user {own}"))
            .remedy(format!("sudo chown -R {own} {shown}"));
    }
    // The same rule as the sandbox's own: it refuses a folder that others may write to.
    if mode & 0o022 != 0 {
        return Finding::new(
            Grade::Failed,
            "cache",
            format!("`{shown}` is open to others (mode {mode:o}), who could put native code there"),
        )
        .remedy(format!("chmod 700 {shown}"));
    }
    Finding::good("cache", format!("`{shown}`, which only you can write to"))
}

fn not_made_yet(folder: &Path) -> Finding {
    let shown = folder.display();
    let parent = folder.ancestors().skip(1).find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    // A folder of the kernel, such as `/proc`, lets nobody make another one in it.
    let is_of_kernel = ["/proc", "/sys"].iter().any(|root| parent.starts_with(root));
    match rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        Ok(()) if !is_of_kernel => Finding::new(Grade::Note, "cache", format!("`{shown}` is made at first use")),
        Ok(()) | Err(_) => {
            let detail = format!("`{shown}` cannot be made: nothing is kept, and what is compiled is refused");
            Finding::new(Grade::Failed, "cache", detail)
                .remedy("export GREENSAND_CACHE=DIR, with a folder that you can write to")
        }
    }
}

fn room(folder: &Path) -> Finding {
    // A folder that is not there yet has the room of the nearest one that is.
    let existing = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(folder);
    match rustix::fs::statvfs(existing) {
        Err(error) => Finding::new(Grade::Warning, "disk", format!("how much is free cannot be read: {error}")),
        Ok(volume) => {
            let free = volume.f_bavail.saturating_mul(volume.f_frsize);
            let detail = format!("{} MiB are free for the cache", free >> 20);
            if free >= ENOUGH_BYTES {
                return Finding::good("disk", detail);
            }
            Finding::new(Grade::Failed, "disk", format!("{detail}; images need {} MiB", ENOUGH_BYTES >> 20))
                .remedy("export GREENSAND_CACHE=DIR, with a folder on a larger disk")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn check(mode: u32) -> Finding {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        ownership(folder.path())
    }

    #[test]
    fn a_folder_that_is_open_to_others_fails_with_the_command_that_closes_it() {
        assert_eq!(check(0o700).grade, Grade::Good);
        assert_eq!(check(0o755).grade, Grade::Good);
        for mode in [0o777, 0o770, 0o702] {
            let finding = check(mode);
            assert_eq!(finding.grade, Grade::Failed, "{mode:o}");
            assert!(finding.remedy.unwrap().starts_with("chmod 700 "));
        }
    }

    #[test]
    fn a_missing_folder_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        assert_eq!(ownership(&missing).grade, Grade::Note);
        assert!(room(&missing).detail.contains("MiB are free"));
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(ownership(file.path()).grade, Grade::Failed);
    }
}
