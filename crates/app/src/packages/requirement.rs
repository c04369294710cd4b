use std::fmt;
use std::str::FromStr;

/// A package that is asked for: its name, and perhaps which versions and extras.
///
/// Only names from an index are taken: no addresses, no paths, no options, no conditions.
///
/// ```
/// use greensand_app::packages::Requirement;
///
/// let requirement: Requirement = "SymPy >=1.13,<2".parse()?;
/// assert_eq!(requirement.name(), "sympy");
/// assert_eq!(requirement.to_string(), "sympy>=1.13,<2");
/// assert!("--index-url=x".parse::<Requirement>().is_err());
/// # Ok::<(), greensand_app::packages::RequirementError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    name: String,
    /// Extras and versions, without spaces.
    rest: String,
}

/// A text that asks for no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a package: write its name, and perhaps versions, such as `sympy` or `sympy>=1.13,<2`")]
pub struct RequirementError {
    text: String,
}

const LONGEST: usize = 200;

impl Requirement {
    /// Reads requirements with commas between them; versions may have commas too.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, RequirementError> {
        let mut texts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match texts.last_mut() {
                Some(last) if !part.trim_start().starts_with(|first: char| first.is_ascii_alphanumeric()) => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => texts.push(part.to_owned()),
            }
        }
        texts.iter().map(|text| text.parse()).collect()
    }

    /// Returns the name, as indexes compare names.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Writes a name as package indexes compare it: lower case, with one `-` for each run of `-`, `_` and `.`.
pub fn normal(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

fn is_name(text: &str) -> bool {
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// `[extra,extra]`, or nothing.
fn are_extras(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    text.is_empty() || inner.is_some_and(|inner| inner.split(',').all(is_name))
}

/// `>=1.2,<2`, or nothing.
fn are_versions(text: &str) -> bool {
    const OPERATORS: [&str; 8] = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];
    text.is_empty()
        || text.split(',').all(|part| {
            let version = OPERATORS.iter().find_map(|operator| part.strip_prefix(operator));
            version.is_some_and(|version| {
                !version.is_empty()
                    && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".*+!-_".contains(&byte))
            })
        })
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let tight: String = text.chars().filter(|character| *character != ' ').collect();
        let name_end = tight.find(['[', '=', '!', '<', '>', '~']).unwrap_or(tight.len());
        let (name, rest) = tight.split_at(name_end);
        let (extras, versions) = rest.split_at(rest.find(']').map_or(0, |end| end + 1));
        // Two names with a space between them are not one.
        let name_is_whole = text.trim().get(..name.len()) == Some(name);
        if text.len() > LONGEST || !name_is_whole || !is_name(name) || !are_extras(extras) || !are_versions(versions) {
            return Err(RequirementError { text: text.chars().take(LONGEST).collect() });
        }
        Ok(Self { name: normal(name), rest: rest.to_owned() })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.name, self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(text.parse::<Requirement>().ok().map(|found| found.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn names_versions_and_extras_are_taken() {
        check("sympy", Some("sympy"));
        check(" Foo__Bar.baz ", Some("foo-bar-baz"));
        check("sympy >= 1.13, < 2", Some("sympy>=1.13,<2"));
        check("a[b,c-d]~=1.0.post1", Some("a[b,c-d]~=1.0.post1"));
        check("a==1.*", Some("a==1.*"));
    }

    #[test]
    fn a_list_has_commas_between_packages_and_within_versions() {
        let names =
            |text| Requirement::parse_list(text).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(names("sympy>=1.13,<2, networkx").unwrap(), ["sympy>=1.13,<2", "networkx"]);
        assert!(names("sympy,,networkx").is_err() && names("").is_err() && names("sympy,-r x").is_err());
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "",
            "-r",
            "--index-url=http://x",
            "-e .",
            ".",
            "./a",
            "../a",
            "/a",
            "a b",
            "a;b",
            "a@http://x",
            "a @ file:///x",
            "http://x/a.whl",
            "a.whl>=",
            "a>=1;python_version<'3'",
            "a[",
            "a[b",
            "a[]",
            "a>=1 --hash=x",
            "a\n-r x",
            "a==",
            "a=1",
            "é",
            "a>=$(x)",
            "a<1,",
        ] {
            check(text, None);
        }
        check(&"a".repeat(300), None);
    }
}
