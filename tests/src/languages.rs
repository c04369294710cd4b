//! What the suites need to know of each guest language: a few sources, and how it writes what it got.
//!
//! The host knows no language by name, but a suite that calls functions must write some. (Modules that people bring have no
//! sources, and no row.) [`languages_of`] gives the rows
//! of the languages that are on offer, and insists that there is one for each: a new language cannot be forgotten.

/// How a language gives numbers back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Integers and floats are two kinds, and each comes back as it went in.
    TwoKinds,
    /// There is one kind of number: a float that is whole may come back as an integer of the same value. Integers
    /// beyond 2^53 keep every digit all the same.
    OneKind,
}

/// In which order a language gives the keys of an object back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrder {
    /// As they came.
    Kept,
    /// In an order of its own. JSON gives the order no meaning.
    Own,
}

/// The sources of a language, each with the entry `f`.
#[derive(Debug, Clone, Copy)]
pub struct LanguageSources {
    /// Its name in `guest-templates/`.
    pub name: &'static str,
    /// Takes `value` and returns it.
    pub identity: &'static str,
    /// Takes nothing and returns 1.
    pub one: &'static str,
    /// Takes nothing, and tries to connect to the port `PORT` of this machine: returns `true` if it could.
    pub knock: &'static str,
    /// How numbers come back.
    pub numbers: Numbers,
    /// How keys come back.
    pub key_order: KeyOrder,
}

/// Every language, in the order of `guest-templates/src/lib.rs`.
pub const LANGUAGES: &[LanguageSources] = &[
    LanguageSources {
        name: "python",
        identity: "def f(value):\n    return value\n",
        one: "def f():\n    return 1\n",
        knock: "import socket\ndef f():\n    socket.create_connection(('127.0.0.1', PORT), 1)\n    return True\n",
        numbers: Numbers::TwoKinds,
        key_order: KeyOrder::Kept,
    },
    LanguageSources {
        name: "javascript",
        identity: "function f(value) { return value }\n",
        one: "function f() { return 1 }\n",
        knock: "async function f() { await fetch('http://127.0.0.1:PORT/'); return true }\n",
        numbers: Numbers::OneKind,
        // Keys that look like indices come first, by the rules of the language.
        key_order: KeyOrder::Own,
    },
    LanguageSources {
        name: "typescript",
        identity: "export function f(value: unknown): unknown { return value }\n",
        one: "export function f(): number { return 1 }\n",
        knock: "declare const fetch: any;\nexport async function f() { await fetch('http://127.0.0.1:PORT/'); return true }\n",
        numbers: Numbers::OneKind,
        key_order: KeyOrder::Own,
    },
    LanguageSources {
        name: "rust",
        identity: "pub fn f(value: serde_json::Value) -> serde_json::Value { value }\n",
        one: "pub fn f() -> u32 { 1 }\n",
        knock: "pub fn f() -> bool { std::net::TcpStream::connect(\"127.0.0.1:PORT\").is_ok() }\n",
        numbers: Numbers::TwoKinds,
        key_order: KeyOrder::Own,
    },
];

/// Returns the rows of the languages with these names.
///
/// # Panics
/// When a language has no row.
pub fn languages_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<&'static LanguageSources> {
    let row = |name| LANGUAGES.iter().find(|language| language.name == name);
    names.into_iter().map(|name| row(name).unwrap_or_else(|| panic!("`{name}` has no row in LANGUAGES"))).collect()
}
