//! The door to the cache folder for `fuzz/`.

use std::fs;
use std::path::Path;

use greensand_guest_templates::TEMPLATES;

use super::store::{ImageKey, ImageStore, Lookup, seal};

/// What stands for the image's id in the body of an entry, so that a body can be that of the image that is asked for.
const IMAGE: &str = "IMAGE";

/// Puts bytes into the place of an entry, sealed with the key of the folder or as they are, and looks the entry up.
/// Nothing must be found: no code lies in the folder, whatever the entry says.
pub fn look_up_entry(folder: &Path, body: &[u8], is_sealed: bool) {
    let store = ImageStore::open(folder).expect("the folder is ours");
    let template = TEMPLATES.iter().find(|template| template.image().is_some()).expect("a language has an image");
    let key = ImageKey::new(template, None, &[7; 32]);
    let body = match str::from_utf8(body) {
        Ok(text) => text.replace(IMAGE, &key.id.to_string()).into_bytes(),
        Err(_) => body.to_vec(),
    };
    let bytes = match (&store.key, is_sealed) {
        (Ok(key), true) => [seal(key, &body).to_hex().as_bytes(), b"\n", &body].concat(),
        _ => body,
    };
    fs::write(store.entry_path(key), bytes).expect("the folder can be written to");
    match store.find(key) {
        Lookup::Found(_) => panic!("an entry without code was found"),
        Lookup::Missing => panic!("an entry that is there is missing"),
        Lookup::Invalid(reason) => assert!(!reason.is_empty()),
    }
}
