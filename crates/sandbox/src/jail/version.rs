//! Which landlock the kernel has, for people: what is needed is decided in `reach`.

use landlock::{ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};

/// Returns the newest version of landlock that this kernel and this host both know, or nothing where there is none.
pub(super) fn landlock_version() -> Option<u32> {
    const KNOWN: [ABI; 6] = [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6];
    let newest = KNOWN.iter().rposition(|version| has(*version))?;
    u32::try_from(newest + 1).ok()
}

/// Asks for everything of a version; a set of rules that is made and dropped changes nothing.
fn has(version: ABI) -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let rules = rules.handle_access(AccessFs::from_all(version)).and_then(|rules| {
        let net = AccessNet::from_all(version);
        if net == BitFlags::EMPTY { Ok(rules) } else { rules.handle_access(net) }
    });
    let rules = rules.and_then(|rules| {
        let scope = Scope::from_all(version);
        if scope == BitFlags::EMPTY { Ok(rules) } else { rules.scope(scope) }
    });
    rules.is_ok_and(|rules| rules.create().is_ok())
}
