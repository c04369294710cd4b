//! The functions that are measured, and what was asked of each language. A language without a row is left out, and the
//! report says so.

use super::report::Asked;

/// What is measured of a language. Every function is called `f`.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its name in `guest-templates/`.
    pub(super) language: &'static str,
    /// Takes `a` and `b`, and returns their sum.
    pub(super) sum: &'static str,
    /// Starts a line that makes a source another one and means nothing.
    pub(super) comment: &'static str,
    /// Takes a number, and works for a time that grows with it.
    pub(super) work: &'static str,
    /// Never ends if its only argument is true, else returns.
    pub(super) spin: &'static str,
    /// Functions that never end, each stuck in another place.
    pub(super) stalls: &'static [&'static str],
    /// What was asked of it.
    pub(super) asked: AskedOfLanguage,
}

/// The figures that a language is to reach on two quiet cores.
#[derive(Debug)]
pub(super) struct AskedOfLanguage {
    pub(super) prepared_p50: Asked,
    pub(super) from_source_p50: Option<Asked>,
    /// In milliseconds.
    pub(super) source_to_callable: Asked,
    /// In KiB.
    pub(super) dirty: Asked,
}

/// Every subject.
pub(super) const SUBJECTS: &[Subject] = &[
    Subject {
        language: "python",
        sum: "def f(a, b):\n    return a + b\n",
        comment: "#",
        work: "def f(n):\n    total = 0\n    for i in range(n):\n        total += i * i\n    return total\n",
        spin: "def f(spin):\n    while spin:\n        pass\n",
        stalls: &[
            "def f():\n    while True:\n        pass\n",
            "def f():\n    return sum(range(10**12))\n",
            "import re\ndef f():\n    return re.match('^(a+)+$', 'a' * 64 + '!')\n",
            "def f():\n    return len(str(10**(10**8)))\n",
            "import time\ndef f():\n    time.sleep(3600)\n",
        ],
        asked: AskedOfLanguage {
            prepared_p50: Asked::AtMost(60.0),
            from_source_p50: Some(Asked::AtMost(500.0)),
            source_to_callable: Asked::AtMost(2.0),
            dirty: Asked::AtMost(1024.0),
        },
    },
    Subject {
        language: "javascript",
        sum: "function f(a, b) { return a + b }\n",
        comment: "//",
        work: "function f(n) { let t = 0; for (let i = 0; i < n; i++) { t = (t + i * i) % 1000003 } return t }\n",
        spin: "function f(spin) { while (spin) {} }\n",
        stalls: &[
            "function f() { while (true) {} }\n",
            "function f() { return /^(a+)+$/.test('a'.repeat(64) + '!') }\n",
            "function f() { return new Array(1e6).fill(0).map((_, i) => new Array(1e6).fill(i).indexOf(-1)).length }\n",
            "async function f() { await new Promise((done) => setTimeout(done, 3600000)) }\n",
        ],
        asked: AskedOfLanguage {
            prepared_p50: Asked::AtMost(20.0),
            from_source_p50: None,
            source_to_callable: Asked::AtMost(2.0),
            dirty: Asked::AtMost(256.0),
        },
    },
    Subject {
        language: "typescript",
        sum: "export function f(a: number, b: number): number { return a + b }\n",
        comment: "//",
        work: "export function f(n: number): number {\n\
               let t = 0; for (let i = 0; i < n; i++) { t = (t + i * i) % 1000003 } return t }\n",
        spin: "export function f(spin: boolean): void { while (spin) {} }\n",
        stalls: &["export function f(): void { while (true) {} }\n"],
        asked: AskedOfLanguage {
            prepared_p50: Asked::AtMost(20.0),
            from_source_p50: None,
            source_to_callable: Asked::AtMost(2.1),
            dirty: Asked::AtMost(256.0),
        },
    },
    Subject {
        language: "rust",
        sum: "pub fn f(a: i64, b: i64) -> i64 { a + b }\n",
        comment: "//",
        work: "pub fn f(n: u64) -> u64 { (0..n).fold(0, |t, i| std::hint::black_box((t + i * i) % 1_000_003)) }\n",
        spin: "pub fn f(spin: bool) { while std::hint::black_box(spin) {} }\n",
        stalls: &[
            "pub fn f() { while std::hint::black_box(true) {} }\n",
            "pub fn f() -> u8 { let mut v = vec![0u8; 8 << 20]; let mut n = 0u8;\n\
             loop { n = n.wrapping_add(1); v.fill(n); if std::hint::black_box(v[7]) != n { return n } } }\n",
        ],
        asked: AskedOfLanguage {
            prepared_p50: Asked::AtMost(30.0),
            from_source_p50: None,
            source_to_callable: Asked::AtMost(600.0),
            dirty: Asked::AtMost(64.0),
        },
    },
];

/// Returns the subject of a language.
pub(super) fn subject_of(language: &str) -> Option<&'static Subject> {
    SUBJECTS.iter().find(|subject| subject.language == language)
}
