use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use crate::{Fault, JsonKey, Writer};

/// A type that results can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a result",
    label = "no form in JSON",
    note = "results may be numbers, `bool`, `char`, texts, `Vec`, slices, arrays, tuples, `Option`, `Result`, `Box`, maps, sets and `serde_json::Value`"
)]
pub trait ToJson {
    /// Writes the value.
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault>;
}

macro_rules! as_displayed {
    ($($type:ty)*) => {$(
        impl ToJson for $type {
            fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
                writer.raw(&self.to_string())
            }
        }
    )*};
}

as_displayed! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize bool }

macro_rules! floats {
    ($($type:ty)*) => {$(
        impl ToJson for $type {
            fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
                match self {
                    // The shortest digits that read back as the same number.
                    number if number.is_finite() => writer.raw(&format!("{number:?}")),
                    number if number.is_nan() => writer.odd_number("nan"),
                    number if *number > 0.0 => writer.odd_number("inf"),
                    _ => writer.odd_number("-inf"),
                }
            }
        }
    )*};
}

floats! { f32 f64 }

impl ToJson for () {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.raw("null")
    }
}

impl ToJson for str {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.string(self)
    }
}

impl ToJson for String {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.string(self)
    }
}

impl ToJson for char {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.string(self.encode_utf8(&mut [0; 4]))
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        match self {
            Some(value) => value.to_json(writer),
            None => writer.raw("null"),
        }
    }
}

/// An error anywhere in a result is the error of the function.
impl<T: ToJson, E: Debug> ToJson for Result<T, E> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        match self {
            Ok(value) => value.to_json(writer),
            Err(error) => Err(Fault::Raised(format!("{error:?}"))),
        }
    }
}

impl<T: ToJson> ToJson for [T] {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.array(self, |writer, element| element.to_json(writer))
    }
}

impl<T: ToJson, const N: usize> ToJson for [T; N] {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        self.as_slice().to_json(writer)
    }
}

macro_rules! sequences {
    ($($type:ident),*) => {$(
        impl<T: ToJson> ToJson for $type<T> {
            fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
                writer.array(self, |writer, element| element.to_json(writer))
            }
        }
    )*};
}

sequences! { Vec, VecDeque, LinkedList, BTreeSet, BinaryHeap }

impl<T: ToJson, S> ToJson for HashSet<T, S> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.array(self, |writer, element| element.to_json(writer))
    }
}

impl<K: JsonKey, V: ToJson, S> ToJson for HashMap<K, V, S> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        let members = self.iter().map(|(key, value)| (key.to_key(), value));
        writer.object(members, |writer, value| value.to_json(writer))
    }
}

impl<K: JsonKey, V: ToJson> ToJson for BTreeMap<K, V> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        let members = self.iter().map(|(key, value)| (key.to_key(), value));
        writer.object(members, |writer, value| value.to_json(writer))
    }
}

macro_rules! tuples {
    ($($($type:ident)*;)*) => {$(
        impl<$($type: ToJson),*> ToJson for ($($type,)*) {
            #[allow(non_snake_case, reason = "each variable is called after its type")]
            fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
                let ($($type,)*) = self;
                let elements: &[&dyn ToJson] = &[$($type),*];
                writer.array(elements, |writer, element| element.to_json(writer))
            }
        }
    )*};
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}

macro_rules! around {
    ($($type:ty),*) => {$(
        impl<T: ToJson + ?Sized> ToJson for $type {
            fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
                (**self).to_json(writer)
            }
        }
    )*};
}

around! { &T, &mut T, Box<T>, Rc<T>, Arc<T> }

impl<T: ToJson + ToOwned + ?Sized> ToJson for Cow<'_, T> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        (**self).to_json(writer)
    }
}

impl<T: ToJson + Copy> ToJson for Cell<T> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        self.get().to_json(writer)
    }
}

impl<T: ToJson> ToJson for RefCell<T> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        self.borrow().to_json(writer)
    }
}

impl ToJson for Value {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        match self {
            Value::Null => writer.raw("null"),
            Value::Bool(value) => value.to_json(writer),
            Value::Number(number) => number.to_json(writer),
            Value::String(text) => writer.string(text),
            Value::Array(items) => items.to_json(writer),
            Value::Object(map) => map.to_json(writer),
        }
    }
}

impl ToJson for Map<String, Value> {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        let members = self.iter().map(|(name, value)| (name.clone(), value));
        writer.object(members, |writer, value| value.to_json(writer))
    }
}

/// Written as it is: it has every digit that it was read with.
impl ToJson for Number {
    fn to_json(&self, writer: &mut Writer) -> Result<(), Fault> {
        writer.raw(&self.to_string())
    }
}
