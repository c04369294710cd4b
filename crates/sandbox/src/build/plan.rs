use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

/// The most files of a plan, and the most bytes of all of them.
const MOST_FILES: usize = 16;
const MOST_BYTES: usize = 16 << 20;

/// What is to be compiled for one entry of a source. It comes from a guest, so nothing of it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    files: BTreeMap<String, String>,
}

impl Plan {
    /// Reads the compiled form that a front returned.
    ///
    /// # Errors
    /// Why it is no plan.
    pub(crate) fn read(form: &[u8]) -> Result<Self, String> {
        let plan: Self = serde_json::from_slice(form).map_err(|error| format!("it is no plan: {error}"))?;
        let bytes: usize = plan.files.values().map(String::len).sum();
        if plan.files.len() > MOST_FILES || bytes > MOST_BYTES {
            return Err(format!("it has {} files of {bytes} bytes together", plan.files.len()));
        }
        match plan.files.keys().find(|name| !is_plain(name)) {
            Some(name) => Err(format!("`{}` is not the name of a file", name.escape_debug())),
            None => Ok(plan),
        }
    }

    /// Returns how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.files.iter().map(|(name, text)| name.len() + text.len()).sum()
    }

    /// Writes the files.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        self.files.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    }
}

/// Says whether a name leads nowhere but into its folder.
fn is_plain(name: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.');
    !name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, reason: &str) {
        let refused = Plan::read(form.as_bytes()).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }

    #[test]
    fn a_plan_is_files_in_one_folder() {
        let plan = Plan::read(br#"{"files": {"a.x": "1", "b_2.x": "2"}}"#).unwrap();
        assert_eq!(plan.files.len(), 2);
        for name in ["../a", "/etc/x", "a/b", ".a", "", "a\\u0000b", "a b"] {
            check(&format!(r#"{{"files": {{"{name}": ""}}}}"#), "not the name of a file");
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for form in ["", "null", "[]", r#"{"files": {}, "run": "x"}"#, r#"{"files": {"a": 1}}"#] {
            check(form, "it is no plan");
        }
        let many: Vec<_> = (0..17).map(|number| format!(r#""f{number}": """#)).collect();
        check(&format!(r#"{{"files": {{{}}}}}"#, many.join(",")), "17 files");
        check(&format!(r#"{{"files": {{"a": "{}"}}}}"#, "x".repeat(MOST_BYTES + 1)), "bytes together");
    }
}
