use crate::Mismatch;

/// A type whose values can be names in a JSON object.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key of a map in arguments or results",
    label = "no key of a JSON object",
    note = "keys may be texts, characters, integers and `bool`"
)]
pub trait JsonKey: Sized {
    /// Reads a key.
    fn from_key(key: &str) -> Result<Self, Mismatch>;

    /// Writes a key, without quotes and escapes.
    fn to_key(&self) -> String;
}

impl JsonKey for String {
    fn from_key(key: &str) -> Result<Self, Mismatch> {
        Ok(key.to_owned())
    }

    fn to_key(&self) -> String {
        self.clone()
    }
}

impl JsonKey for &'static str {
    fn from_key(key: &str) -> Result<Self, Mismatch> {
        Ok(String::leak(key.to_owned()))
    }

    fn to_key(&self) -> String {
        (*self).to_owned()
    }
}

macro_rules! parsed_keys {
    ($($type:ty: $what:literal),*) => {$(
        impl JsonKey for $type {
            fn from_key(key: &str) -> Result<Self, Mismatch> {
                key.parse().map_err(|_| Mismatch::new(format!("the key {key:?} is not {}", $what)))
            }

            fn to_key(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

parsed_keys! {
    char: "one character", bool: "`true` or `false`",
    i8: "an integer of the type", i16: "an integer of the type", i32: "an integer of the type",
    i64: "an integer of the type", i128: "an integer of the type", isize: "an integer of the type",
    u8: "an integer of the type", u16: "an integer of the type", u32: "an integer of the type",
    u64: "an integer of the type", u128: "an integer of the type", usize: "an integer of the type"
}
