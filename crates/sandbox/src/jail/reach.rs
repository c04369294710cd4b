//! What of the machine's files a jailed program reaches: landlock.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::InsideOrder;

/// The version of landlock that must be there: the first that also covers cutting files off (Linux 6.2).
const NEEDED: ABI = ABI::V3;

/// The version of which everything is used where it is there: connections, devices, signals, abstract sockets.
/// Where it is not, seccomp alone stands before those: it refuses sockets, signals to anybody else, and the commands by which
/// a descriptor sends them; the devices that can be opened are the two below.
const WANTED: ABI = ABI::V6;

/// Files that are always within reach.
const ALWAYS_READABLE: [&str; 1] = ["/dev/urandom"];
const ALWAYS_WRITABLE: [&str; 1] = ["/dev/null"];

/// Makes a set of rules that allows nothing.
///
/// # Errors
/// When the kernel has no landlock, or an older one.
pub(super) fn nothing() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::from_all(WANTED))?
        .scope(Scope::from_all(WANTED))?
        .create()
}

/// Gives up everything but what an order names, for this process and all that it starts.
///
/// # Errors
/// Why the wall does not stand.
pub(super) fn put_up(order: &InsideOrder) -> Result<(), String> {
    let refused = |error: RulesetError| error.to_string();
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = nothing().map_err(refused)?;
    for path in &order.executable {
        rules = allow(rules, path, read | AccessFs::Execute)?;
    }
    for path in order.readable.iter().map(AsRef::as_ref).chain(ALWAYS_READABLE.iter().map(Path::new)) {
        rules = allow(rules, path, read)?;
    }
    for path in ALWAYS_WRITABLE {
        rules = allow(rules, Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    rules = allow(rules, &order.work, work_access())?;
    let status = rules.restrict_self().map_err(refused)?;
    match status.ruleset {
        // The rest are the parts that are only wanted.
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("the kernel does not enforce the rules".into()),
    }
}

/// What may be done in the work folder: everything that makes and changes plain files and folders, and running nothing.
fn work_access() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
}

/// Adds a path with as much of the access as makes sense for what lies there; nothing there is nothing to add.
fn allow(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, String> {
    let describe = |error: &dyn std::fmt::Display| format!("allow `{}`: {error}", path.display());
    let Ok(metadata) = path.metadata() else { return Ok(rules) };
    let access = if metadata.is_dir() { access } else { access & AccessFs::from_file(NEEDED) };
    let folder = PathFd::new(path).map_err(|error| describe(&error))?;
    rules.add_rule(PathBeneath::new(folder, access)).map_err(|error| describe(&error))
}
