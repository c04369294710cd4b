//! The cache folder: an entry of any bytes, under the seal of the folder or not, gives no code.

#![no_main]

use std::sync::LazyLock;

use greensand_sandbox::fuzzing::look_up_entry;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

fuzz_target!(|input: (bool, &[u8])| {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder can be made"));
    let (is_sealed, body) = input;
    look_up_entry(FOLDER.path(), body, is_sealed);
});
