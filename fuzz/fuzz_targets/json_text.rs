//! Arguments and results: any text is refused, or kept as it is and written back as it was.

#![no_main]

use greensand_types::{JsonKind, JsonText};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(value) = JsonText::parse(text) else { return };
    assert_eq!(value.get(), text.trim_matches([' ', '\t', '\n', '\r']), "a value is not its text");
    let again = JsonText::parse(value.get()).expect("a value is JSON");
    assert_eq!(again, value);
    let written = serde_json::to_string(&value).expect("a value can be written");
    assert_eq!(written, value.get());
    // Where an ordinary reader has room for the depth, it finds the same kind.
    if let Ok(read) = serde_json::from_str::<serde_json::Value>(value.get()) {
        assert_eq!(JsonKind::of(&read), value.kind());
    }
});
