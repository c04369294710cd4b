//! Gate `packages`: a package is on the allow-list of the run, and its name is a name.
//!
//! A package name is data here and never part of a program or a command line.

use greensand_types::Gate;

use super::form::shown;
use super::refusal::{Stop, refuse};

const NAME_BYTES: usize = 100;

/// Checks the packages of a draft and returns them normalised, sorted, each once.
pub(crate) fn check(packages: &[String], allowed: &[String]) -> Result<Vec<String>, Stop> {
    let allowed: Vec<String> = allowed.iter().map(|package| normal(package)).collect();
    let mut checked = Vec::new();
    for package in packages {
        if !is_name(package) {
            return refuse(
                Gate::Packages,
                format!("`{}` is not the name of a package; give the name alone, without a version", shown(package)),
            );
        }
        let package = normal(package);
        if !allowed.contains(&package) {
            return refuse(Gate::Packages, not_allowed(&package, &allowed));
        }
        checked.push(package);
    }
    checked.sort();
    checked.dedup();
    Ok(checked)
}

fn not_allowed(package: &str, allowed: &[String]) -> String {
    let known = match allowed {
        [] => "no packages are, so use the standard library".to_owned(),
        allowed => format!("these are: {}", allowed.join(", ")),
    };
    format!("package `{package}` is not allowed in this run; {known}")
}

/// Writes a name as package indexes compare it: lower case, with one `-` for each run of `-`, `_` and `.`.
fn normal(package: &str) -> String {
    let words = package.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn is_name(package: &str) -> bool {
    let bytes = package.as_bytes();
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let fits = bytes.len() <= NAME_BYTES
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    fits && ends_well(bytes.first()) && ends_well(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_list(packages: &[&str], allowed: &[&str]) -> Result<Vec<String>, String> {
        let own = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        check(&own(packages), &own(allowed)).map_err(|stop| match stop {
            Stop::Refused(Gate::Packages, reason) => reason,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn names_are_compared_as_package_indexes_do() {
        assert_eq!(check_list(&["Foo_Bar", "foo.bar"], &["foo-bar"]), Ok(vec!["foo-bar".to_owned()]));
        assert_eq!(check_list(&["toolz", "sympy"], &["sympy", "toolz"]).unwrap(), ["sympy", "toolz"]);
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert!(check_list(&["numpy"], &[]).unwrap_err().contains("standard library"));
        assert!(check_list(&["numpy"], &["sympy"]).unwrap_err().contains("sympy"));
    }

    #[test]
    fn a_package_name_cannot_hold_a_program_or_an_option() {
        for text in
            ["six, toolz", "a\"]); import os; os.system(\"x\") #", "--index-url=http://x", "a>=1", "", "../a", "a b"]
        {
            assert!(check_list(&[text], &[text]).unwrap_err().contains("not the name"), "{text}");
        }
    }
}
