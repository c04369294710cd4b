use std::time::Duration;

use greensand_types::Limits;

/// A limit that a caller may set, with the host's own bounds for it.
#[derive(Debug)]
pub struct LimitKey {
    /// How it is named in requests and on the command line.
    pub name: &'static str,
    /// What it bounds, in a few words.
    pub summary: &'static str,
    /// The smallest value that makes sense.
    pub least: u64,
    /// The largest value that the host grants.
    pub most: u64,
    set: fn(&mut Limits, u64),
}

/// Every limit that a caller may set.
pub static LIMIT_KEYS: &[LimitKey] = &[
    LimitKey {
        name: "wall_ms",
        summary: "wall clock of the call, in milliseconds",
        least: 1,
        most: 600_000,
        set: |limits, value| limits.wall = Duration::from_millis(value),
    },
    LimitKey {
        name: "memory_mb",
        summary: "memory of the instance, in MiB",
        least: 1,
        most: 4096,
        set: |limits, value| limits.memory_bytes = value << 20,
    },
    LimitKey {
        name: "max_arg_bytes",
        summary: "arguments as JSON text, in bytes",
        least: 2,
        most: 64 << 20,
        set: |limits, value| limits.max_argument_bytes = value,
    },
    LimitKey {
        name: "max_result_bytes",
        summary: "result as JSON text, in bytes",
        least: 1,
        most: 64 << 20,
        set: |limits, value| limits.max_result_bytes = value,
    },
    LimitKey {
        name: "max_stdout_bytes",
        summary: "standard output, in bytes",
        least: 0,
        most: 64 << 20,
        set: |limits, value| limits.max_stdout_bytes = value,
    },
    LimitKey {
        name: "max_stderr_bytes",
        summary: "standard error, in bytes",
        least: 0,
        most: 64 << 20,
        set: |limits, value| limits.max_stderr_bytes = value,
    },
    LimitKey {
        name: "build_wall_ms",
        summary: "compiling the function, where its language is compiled, in milliseconds",
        least: 1,
        most: 600_000,
        set: |limits, value| limits.build_wall = Duration::from_millis(value),
    },
    LimitKey {
        name: "build_memory_mb",
        summary: "memory of the compiler, in MiB",
        least: 64,
        most: 16_384,
        set: |limits, value| limits.build_memory_bytes = value << 20,
    },
];

/// A limit that cannot be set as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitSettingError {
    /// There is no limit of that name.
    #[error("there is no limit `{name}`{}", did_you_mean(*.nearest))]
    Unknown {
        /// The name as it was given.
        name: String,
        /// The known name that is nearest, if one is near.
        nearest: Option<&'static str>,
    },
    /// The value is beyond what the host grants, or too small to mean anything.
    #[error("limit `{name}` must be a whole number from {least} to {most}, found {found}")]
    OutOfRange {
        /// Which limit.
        name: &'static str,
        /// What was given.
        found: String,
        /// The smallest value.
        least: u64,
        /// The largest value.
        most: u64,
    },
}

/// Sets one limit by its name, from a number as text.
///
/// # Errors
/// When there is no such limit, or the value is not a whole number within the host's bounds.
pub fn set_limit(limits: &mut Limits, name: &str, value: &str) -> Result<(), LimitSettingError> {
    let Some(key) = LIMIT_KEYS.iter().find(|key| key.name == name) else {
        let nearest = nearest(name, LIMIT_KEYS.iter().map(|key| key.name));
        return Err(LimitSettingError::Unknown { name: shortened(name), nearest });
    };
    match value.parse::<u64>() {
        Ok(number) if (key.least..=key.most).contains(&number) => {
            (key.set)(limits, number);
            Ok(())
        }
        _ => Err(LimitSettingError::OutOfRange {
            name: key.name,
            found: shortened(value),
            least: key.least,
            most: key.most,
        }),
    }
}

/// Returns the known name that a misspelt one most likely means.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// Returns the end of a message about an unknown name.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Returns at most 80 characters of a text from outside, for a message; control characters as escapes.
pub(crate) fn shortened(text: &str) -> String {
    let mut short = String::new();
    for character in text.chars().take(80) {
        match character {
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                short.extend(character.escape_unicode());
            }
            _ if character.is_control() => short.extend(character.escape_default()),
            _ => short.push(character),
        }
    }
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<Limits, String> {
        let mut limits = Limits::DEFAULT;
        set_limit(&mut limits, name, value).map(|()| limits).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_is_set_by_its_name() {
        assert_eq!(check("wall_ms", "100").unwrap().wall, Duration::from_millis(100));
        assert_eq!(check("memory_mb", "32").unwrap().memory_bytes, 32 << 20);
        assert_eq!(check("max_stdout_bytes", "0").unwrap().max_stdout_bytes, 0);
    }

    #[test]
    fn every_key_takes_its_bounds_and_nothing_beyond() {
        for key in LIMIT_KEYS {
            for good in [key.least, key.most] {
                assert!(check(key.name, &good.to_string()).is_ok(), "{} {good}", key.name);
            }
            for bad in [&(key.most + 1).to_string(), "-1", "1.5", "", "1e3", "99999999999999999999999"] {
                assert!(check(key.name, bad).is_err(), "{} {bad}", key.name);
            }
        }
        assert!(check("wall_ms", "0").unwrap_err().contains("from 1 to 600000, found 0"));
    }

    #[test]
    fn an_unknown_limit_names_the_nearest() {
        assert_eq!(check("wal_ms", "1").unwrap_err(), "there is no limit `wal_ms`; did you mean `wall_ms`?");
        assert_eq!(check("xyz", "1").unwrap_err(), "there is no limit `xyz`");
        assert_eq!(check("\x1b[2J\n\u{202e}", "1").unwrap_err(), "there is no limit `\\u{1b}[2J\\n\\u{202e}`");
    }
}
