//! QuickJS's C interface as owned values.
//!
//! There is one runtime with one context; it is made once and lives as long as the instance, so values need not carry
//! it. A [`Value`] owns one reference. What fails in the engine leaves an exception pending there and is [`Thrown`] here;
//! [`take_exception`] picks it up. Reading with [`Value::own_data`] and [`Value::data`] runs no code of the function.

use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

pub use rquickjs_sys as q;

static CONTEXT: AtomicPtr<q::JSContext> = AtomicPtr::new(std::ptr::null_mut());

/// Makes `context` the one that every value belongs to.
pub fn set_context(context: *mut q::JSContext) {
    CONTEXT.store(context, Ordering::Relaxed);
}

pub fn context() -> *mut q::JSContext {
    CONTEXT.load(Ordering::Relaxed)
}

pub fn runtime() -> *mut q::JSRuntime {
    unsafe { q::JS_GetRuntime(context()) }
}

/// An exception is pending in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thrown;

/// An owned reference to a value of the engine.
#[derive(Debug)]
pub struct Value(q::JSValue);

impl Drop for Value {
    fn drop(&mut self) {
        unsafe { q::JS_FreeValue(context(), self.0) }
    }
}

impl Clone for Value {
    fn clone(&self) -> Value {
        Value(unsafe { q::JS_DupValue(context(), self.0) })
    }
}

/// The built-in classes that the shim tells apart, by their numbers in the engine.
///
/// The numbers are the engine's own; `realm` checks them against objects when the guest starts.
pub mod class {
    pub const OBJECT: u32 = 1;
    pub const ARRAY: u32 = 2;
    pub const ERROR: u32 = 3;
    pub const ARGUMENTS: u32 = 8;
    pub const MAPPED_ARGUMENTS: u32 = 9;
}

impl Value {
    pub const UNDEFINED: Value = Value(q::JS_UNDEFINED);
    pub const NULL: Value = Value(q::JS_NULL);

    /// Takes over a reference that the engine gave.
    pub fn owned(raw: q::JSValue) -> Result<Value, Thrown> {
        if unsafe { q::JS_IsException(raw) } { Err(Thrown) } else { Ok(Value(raw)) }
    }

    /// Adds a reference to a value that the engine lent.
    pub fn borrowed(raw: q::JSValue) -> Value {
        Value(unsafe { q::JS_DupValue(context(), raw) })
    }

    pub fn raw(&self) -> q::JSValue {
        self.0
    }

    /// Gives the reference away.
    pub fn into_raw(self) -> q::JSValue {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    pub fn boolean(value: bool) -> Value {
        Value(if value { q::JS_TRUE } else { q::JS_FALSE })
    }

    pub fn number(value: f64) -> Value {
        Value(q::JS_NewFloat64(value))
    }

    pub fn integer(value: i32) -> Value {
        Value(q::JS_MKVAL(q::JS_TAG_INT, value))
    }

    pub fn text(text: &str) -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_NewStringLen(context(), text.as_ptr().cast(), text.len() as _) })
    }

    pub fn text_of_units(units: &[u16]) -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_NewStringUTF16(context(), units.as_ptr(), units.len() as _) })
    }

    pub fn array() -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_NewArray(context()) })
    }

    pub fn object() -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_NewObject(context()) })
    }

    pub fn bytes(bytes: &[u8]) -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_NewUint8ArrayCopy(context(), bytes.as_ptr(), bytes.len() as _) })
    }

    /// A function of the shim.
    pub fn native(function: q::JSCFunction, name: &CStr, length: i32) -> Result<Value, Thrown> {
        let kind = q::JSCFunctionEnum_JS_CFUNC_generic;
        Value::owned(unsafe { q::JS_NewCFunction2(context(), function, name.as_ptr(), length, kind, 0) })
    }

    pub fn tag(&self) -> i32 {
        unsafe { q::JS_VALUE_GET_NORM_TAG(self.0) }
    }

    pub fn is_undefined(&self) -> bool {
        self.tag() == q::JS_TAG_UNDEFINED
    }

    pub fn is_null(&self) -> bool {
        self.tag() == q::JS_TAG_NULL
    }

    pub fn is_object(&self) -> bool {
        self.tag() == q::JS_TAG_OBJECT
    }

    pub fn is_text(&self) -> bool {
        unsafe { q::JS_IsString(self.0) }
    }

    pub fn is_symbol(&self) -> bool {
        self.tag() == q::JS_TAG_SYMBOL
    }

    pub fn is_function(&self) -> bool {
        unsafe { q::JS_IsFunction(context(), self.0) }
    }

    pub fn is_promise(&self) -> bool {
        unsafe { q::JS_IsPromise(self.0) }
    }

    pub fn is_proxy(&self) -> bool {
        unsafe { q::JS_IsProxy(self.0) }
    }

    pub fn class(&self) -> u32 {
        unsafe { q::JS_GetClassID(self.0) }
    }

    /// The class of an object; `None` of anything else.
    pub fn class_if_object(&self) -> Option<u32> {
        self.is_object().then(|| self.class())
    }

    /// Whether two values are the same object.
    pub fn is(&self, other: &Value) -> bool {
        self.0 == other.0
    }

    /// The number, of an integer or a float.
    pub fn as_number(&self) -> Option<f64> {
        match self.tag() {
            q::JS_TAG_INT => Some(f64::from(unsafe { q::JS_VALUE_GET_INT(self.0) })),
            q::JS_TAG_FLOAT64 => Some(unsafe { q::JS_VALUE_GET_FLOAT64(self.0) }),
            _ => None,
        }
    }

    pub fn as_integer(&self) -> Option<i32> {
        (self.tag() == q::JS_TAG_INT).then(|| unsafe { q::JS_VALUE_GET_INT(self.0) })
    }

    pub fn as_boolean(&self) -> Option<bool> {
        (self.tag() == q::JS_TAG_BOOL).then(|| unsafe { q::JS_VALUE_GET_BOOL(self.0) })
    }

    /// The content of a text or a number; of anything else, code of the function may make it.
    pub fn content(&self) -> Result<Text, Thrown> {
        let mut length: q::size_t = 0;
        let pointer = unsafe { q::JS_ToCStringLen2(context(), &mut length, self.0, false) };
        if pointer.is_null() { Err(Thrown) } else { Ok(Text { pointer, length: length as usize }) }
    }

    /// The content of a text; `None` when the value is no text.
    pub fn as_text(&self) -> Option<Text> {
        if !self.is_text() {
            return None;
        }
        self.content().inspect_err(|Thrown| drop(take_exception())).ok()
    }

    /// An own property that is data. Runs no code: an accessor or a proxy has none.
    pub fn own_data(&self, key: &Atom) -> Option<Value> {
        if !self.is_object() || self.is_proxy() {
            return None;
        }
        match self.own(key) {
            Ok(Some(Property::Data(value))) => Some(value),
            Ok(Some(Property::Accessor { .. }) | None) => None,
            Err(Thrown) => {
                drop(take_exception());
                None
            }
        }
    }

    /// A data property of the object or of what it inherits from. Runs no code.
    pub fn data(&self, key: &Atom) -> Option<Value> {
        const LONGEST_CHAIN: usize = 100;
        let mut object = self.clone();
        for _ in 0..LONGEST_CHAIN {
            if let Some(value) = object.own_data(key) {
                return Some(value);
            }
            object = object.prototype()?;
        }
        None
    }

    /// What the object inherits from. Runs no code: a proxy has none here.
    pub fn prototype(&self) -> Option<Value> {
        if !self.is_object() || self.is_proxy() {
            return None;
        }
        let prototype = Value::owned(unsafe { q::JS_GetPrototype(context(), self.0) });
        prototype.inspect_err(|Thrown| drop(take_exception())).ok().filter(Value::is_object)
    }

    /// An own property as it is. Of a proxy, runs its code.
    pub fn own(&self, key: &Atom) -> Result<Option<Property>, Thrown> {
        let nothing = q::JS_UNDEFINED;
        let mut property = q::JSPropertyDescriptor { flags: 0, value: nothing, getter: nothing, setter: nothing };
        match unsafe { q::JS_GetOwnProperty(context(), &mut property, self.0, key.0) } {
            0 => Ok(None),
            1.. => {
                let (value, getter) = (Value(property.value), Value(property.getter));
                drop(Value(property.setter));
                let is_accessor = property.flags & q::JS_PROP_GETSET as c_int != 0;
                Ok(Some(if is_accessor { Property::Accessor { getter } } else { Property::Data(value) }))
            }
            _ => Err(Thrown),
        }
    }

    /// A property as the language reads it: accessors run.
    pub fn get(&self, key: &Atom) -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_GetProperty(context(), self.0, key.0) })
    }

    pub fn get_named(&self, name: &CStr) -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_GetPropertyStr(context(), self.0, name.as_ptr()) })
    }

    pub fn item(&self, at: u32) -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_GetPropertyUint32(context(), self.0, at) })
    }

    pub fn length(&self) -> Result<i64, Thrown> {
        let mut length = 0;
        checked(unsafe { q::JS_GetLength(context(), self.0, &mut length) })?;
        Ok(length)
    }

    /// Makes an own property, whatever the object inherits.
    pub fn define(&self, key: &Atom, value: Value) -> Result<(), Thrown> {
        let flags = q::JS_PROP_C_W_E as c_int;
        checked(unsafe { q::JS_DefinePropertyValue(context(), self.0, key.0, value.into_raw(), flags) })
    }

    /// As [`Self::define`], but not enumerable: how the language defines its own globals.
    pub fn define_hidden(&self, name: &str, value: Value) -> Result<(), Thrown> {
        let flags = (q::JS_PROP_CONFIGURABLE | q::JS_PROP_WRITABLE) as c_int;
        let key = Atom::new(name)?;
        checked(unsafe { q::JS_DefinePropertyValue(context(), self.0, key.0, value.into_raw(), flags) })
    }

    pub fn define_item(&self, at: u32, value: Value) -> Result<(), Thrown> {
        let flags = q::JS_PROP_C_W_E as c_int;
        checked(unsafe { q::JS_DefinePropertyValueUint32(context(), self.0, at, value.into_raw(), flags) })
    }

    /// The own enumerable keys, symbols too, in the language's order.
    pub fn keys(&self) -> Result<Vec<Atom>, Thrown> {
        let flags = (q::JS_GPN_STRING_MASK | q::JS_GPN_SYMBOL_MASK | q::JS_GPN_ENUM_ONLY) as c_int;
        let (mut table, mut length) = (std::ptr::null_mut(), 0);
        checked(unsafe { q::JS_GetOwnPropertyNames(context(), &mut table, &mut length, self.0, flags) })?;
        let mut keys = Vec::with_capacity(length as usize);
        for at in 0..length as usize {
            keys.push(Atom(unsafe { q::JS_DupAtom(context(), (*table.add(at)).atom) }));
        }
        unsafe { q::JS_FreePropertyEnum(context(), table, length) };
        Ok(keys)
    }

    pub fn call(&self, this: &Value, arguments: &[Value]) -> Result<Value, Thrown> {
        // A `Value` is its one field: the arguments lie in memory as the engine wants them. It only reads them.
        let (count, first) = (arguments.len() as c_int, arguments.as_ptr().cast::<q::JSValue>().cast_mut());
        Value::owned(unsafe { q::JS_Call(context(), self.0, this.0, count, first) })
    }

    /// The bytes of a `Uint8Array`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        let mut length: q::size_t = 0;
        let pointer = unsafe { q::JS_GetUint8Array(context(), &mut length, self.0) };
        if pointer.is_null() {
            drop(take_exception());
            return None;
        }
        Some(unsafe { std::slice::from_raw_parts(pointer, length as usize) })
    }
}

/// An own property of an object.
pub enum Property {
    Data(Value),
    /// The getter is `undefined` when there is only a setter.
    Accessor {
        getter: Value,
    },
}

fn checked(status: c_int) -> Result<(), Thrown> {
    if status < 0 { Err(Thrown) } else { Ok(()) }
}

/// The exception that is pending, which then is no longer.
pub fn take_exception() -> Value {
    Value(unsafe { q::JS_GetException(context()) })
}

/// Makes `value` the pending exception.
pub fn throw(value: Value) -> Thrown {
    unsafe { q::JS_Throw(context(), value.into_raw()) };
    Thrown
}

/// A name of a property.
#[derive(Debug)]
pub struct Atom(q::JSAtom);

impl Drop for Atom {
    fn drop(&mut self) {
        unsafe { q::JS_FreeAtom(context(), self.0) }
    }
}

impl Clone for Atom {
    fn clone(&self) -> Atom {
        Atom(unsafe { q::JS_DupAtom(context(), self.0) })
    }
}

impl Atom {
    pub fn new(name: &str) -> Result<Atom, Thrown> {
        let atom = unsafe { q::JS_NewAtomLen(context(), name.as_ptr().cast(), name.len() as _) };
        if atom == 0 { Err(Thrown) } else { Ok(Atom(atom)) }
    }

    /// The name of a text value.
    pub fn of(value: &Value) -> Result<Atom, Thrown> {
        let atom = unsafe { q::JS_ValueToAtom(context(), value.0) };
        if atom == 0 { Err(Thrown) } else { Ok(Atom(atom)) }
    }

    /// The name as a text or symbol.
    pub fn value(&self) -> Result<Value, Thrown> {
        Value::owned(unsafe { q::JS_AtomToValue(context(), self.0) })
    }
}

/// The content of a text: UTF-8, except that a lone surrogate stands there in three bytes of its own.
pub struct Text {
    pointer: *const std::ffi::c_char,
    length: usize,
}

impl Drop for Text {
    fn drop(&mut self) {
        unsafe { q::JS_FreeCString(context(), self.pointer) }
    }
}

impl Text {
    pub fn bytes(&self) -> &[u8] {
        unsafe { std::slice::from_raw_parts(self.pointer.cast(), self.length) }
    }

    /// The text; `None` when it has a lone surrogate.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(self.bytes()).ok()
    }

    /// The text with each lone surrogate as an escape.
    pub fn escaped(&self) -> String {
        crate::scan::with_surrogates_escaped(self.bytes())
    }
}
