//! The part of CPython's C API that the shim uses, and [`Object`], an owned reference.
//!
//! A failed call leaves an exception set in the interpreter and is [`Raised`] here; [`crate::error`] turns it into a
//! reply. Functions come from module `env`; the addresses of CPython's data symbols come from module
//! `address`, which the builder resolves to constants.

use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::ptr::NonNull;

/// The head that every Python object begins with.
#[repr(C)]
pub struct PyObject {
    references: isize,
    kind: *mut PyObject,
}

#[repr(C)]
pub struct PyMethodDef {
    pub name: *const c_char,
    pub function: Option<unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject>,
    pub flags: c_int,
    pub doc: *const c_char,
}

#[repr(C)]
pub struct PyModuleDef {
    pub references: isize,
    pub kind: *mut PyObject,
    pub base: [usize; 3],
    pub name: *const c_char,
    pub doc: *const c_char,
    pub size: isize,
    pub methods: *const PyMethodDef,
    pub slots: [usize; 4],
}

#[repr(C)]
pub struct Frozen {
    pub name: *const c_char,
    pub code: *const u8,
    pub size: c_int,
    pub is_package: c_int,
}

#[repr(C)]
pub struct CompilerFlags {
    pub flags: c_int,
    pub feature_version: c_int,
}

pub enum PyInitConfig {}

/// `METH_VARARGS`: a function of any number of arguments, which it is given as a tuple.
pub const ANY_ARGUMENTS: c_int = 1;
/// `METH_O`: a function of one argument.
pub const ONE_ARGUMENT: c_int = 8;
pub const API_VERSION: c_int = 1013;
pub const MARSHAL_VERSION: c_int = 5;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub fn Py_DecRef(object: *mut PyObject);
    pub fn Py_IncRef(object: *mut PyObject);

    pub fn PyInitConfig_Create() -> *mut PyInitConfig;
    pub fn PyInitConfig_SetInt(config: *mut PyInitConfig, name: *const c_char, value: i64) -> c_int;
    pub fn PyInitConfig_SetStr(config: *mut PyInitConfig, name: *const c_char, value: *const c_char) -> c_int;
    pub fn PyInitConfig_SetStrList(
        config: *mut PyInitConfig,
        name: *const c_char,
        length: usize,
        items: *const *const c_char,
    ) -> c_int;
    pub fn PyInitConfig_AddModule(
        config: *mut PyInitConfig,
        name: *const c_char,
        init: unsafe extern "C" fn() -> *mut PyObject,
    ) -> c_int;
    pub fn PyInitConfig_GetError(config: *mut PyInitConfig, message: *mut *const c_char) -> c_int;
    pub fn Py_InitializeFromInitConfig(config: *mut PyInitConfig) -> c_int;

    pub fn PyModule_Create2(definition: *const PyModuleDef, version: c_int) -> *mut PyObject;
    pub fn PyModule_NewObject(name: *mut PyObject) -> *mut PyObject;
    pub fn PyModule_GetDict(module: *mut PyObject) -> *mut PyObject;
    pub fn PyImport_GetModuleDict() -> *mut PyObject;
    pub fn PyImport_ImportModule(name: *const c_char) -> *mut PyObject;
    pub fn PyEval_GetBuiltins() -> *mut PyObject;
    pub fn PyEval_EvalCode(code: *mut PyObject, globals: *mut PyObject, locals: *mut PyObject) -> *mut PyObject;
    pub fn Py_CompileStringExFlags(
        source: *const c_char,
        filename: *const c_char,
        start: c_int,
        flags: *mut CompilerFlags,
        optimize: c_int,
    ) -> *mut PyObject;
    pub fn PyMarshal_ReadObjectFromString(from: *const u8, length: isize) -> *mut PyObject;
    pub fn PyMarshal_WriteObjectToString(object: *mut PyObject, version: c_int) -> *mut PyObject;

    pub fn PyObject_GetAttrString(object: *mut PyObject, name: *const c_char) -> *mut PyObject;
    pub fn PyObject_Call(callable: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject;
    pub fn PyObject_CallNoArgs(callable: *mut PyObject) -> *mut PyObject;
    pub fn PyObject_CallOneArg(callable: *mut PyObject, argument: *mut PyObject) -> *mut PyObject;
    pub fn PyObject_Str(object: *mut PyObject) -> *mut PyObject;
    pub fn PyObject_Repr(object: *mut PyObject) -> *mut PyObject;
    pub fn PyCallable_Check(object: *mut PyObject) -> c_int;
    pub fn PyType_GetFlags(kind: *mut PyObject) -> u32;
    pub fn PyType_IsSubtype(kind: *mut PyObject, of: *mut PyObject) -> c_int;
    pub fn PyType_GetSlot(kind: *mut PyObject, slot: c_int) -> *mut c_void;
    pub fn PyType_GetFullyQualifiedName(kind: *mut PyObject) -> *mut PyObject;

    pub fn PyErr_Occurred() -> *mut PyObject;
    pub fn PyErr_GetRaisedException() -> *mut PyObject;
    pub fn PyErr_SetNone(exception: *mut PyObject);
    pub fn PyErr_SetRaisedException(exception: *mut PyObject);
    pub fn PyErr_SetString(kind: *mut PyObject, message: *const c_char);
    pub fn PyErr_Clear();
    pub fn PyException_GetTraceback(exception: *mut PyObject) -> *mut PyObject;
    pub fn PyException_GetCause(exception: *mut PyObject) -> *mut PyObject;
    pub fn PyException_GetContext(exception: *mut PyObject) -> *mut PyObject;
    pub fn PyFrame_GetCode(frame: *mut PyObject) -> *mut PyObject;

    pub fn PyUnicode_FromStringAndSize(text: *const u8, length: isize) -> *mut PyObject;
    pub fn PyUnicode_DecodeUTF8(text: *const u8, length: isize, errors: *const c_char) -> *mut PyObject;
    pub fn PyUnicode_AsUTF8AndSize(text: *mut PyObject, length: *mut isize) -> *const u8;
    pub fn PyUnicode_AsEncodedString(
        text: *mut PyObject,
        encoding: *const c_char,
        errors: *const c_char,
    ) -> *mut PyObject;
    pub fn PyUnicode_GetLength(text: *mut PyObject) -> isize;
    pub fn PyUnicode_Substring(text: *mut PyObject, start: isize, end: isize) -> *mut PyObject;
    pub fn PyBytes_FromStringAndSize(bytes: *const u8, length: isize) -> *mut PyObject;
    pub fn PyBytes_AsStringAndSize(bytes: *mut PyObject, text: *mut *mut u8, length: *mut isize) -> c_int;

    pub fn PyLong_FromLongLong(value: i64) -> *mut PyObject;
    pub fn PyLong_FromUnsignedLongLong(value: u64) -> *mut PyObject;
    pub fn PyLong_FromString(text: *const c_char, end: *mut *mut c_char, base: c_int) -> *mut PyObject;
    pub fn PyLong_AsLong(value: *mut PyObject) -> c_long;
    pub fn PyLong_AsLongLongAndOverflow(value: *mut PyObject, overflow: *mut c_int) -> i64;
    pub fn PyNumber_ToBase(value: *mut PyObject, base: c_int) -> *mut PyObject;
    pub fn PyFloat_FromDouble(value: f64) -> *mut PyObject;
    pub fn PyFloat_AsDouble(value: *mut PyObject) -> f64;
    pub fn PyOS_string_to_double(text: *const c_char, end: *mut *mut c_char, overflow: *mut PyObject) -> f64;
    pub fn PyOS_double_to_string(
        value: f64,
        format: c_char,
        precision: c_int,
        flags: c_int,
        kind: *mut c_int,
    ) -> *mut c_char;
    pub fn PyMem_Free(pointer: *mut c_void);

    pub fn PyList_New(length: isize) -> *mut PyObject;
    pub fn PyList_Append(list: *mut PyObject, item: *mut PyObject) -> c_int;
    pub fn PyList_Size(list: *mut PyObject) -> isize;
    pub fn PyList_GetItemRef(list: *mut PyObject, at: isize) -> *mut PyObject;
    pub fn PyList_AsTuple(list: *mut PyObject) -> *mut PyObject;
    pub fn PySequence_List(iterable: *mut PyObject) -> *mut PyObject;
    pub fn PyTuple_New(length: isize) -> *mut PyObject;
    pub fn PyTuple_Size(tuple: *mut PyObject) -> isize;
    pub fn PyTuple_GetItem(tuple: *mut PyObject, at: isize) -> *mut PyObject;
    pub fn PyTuple_SetItem(tuple: *mut PyObject, at: isize, item: *mut PyObject) -> c_int;
    pub fn PyDict_New() -> *mut PyObject;
    pub fn PyDict_SetItem(dict: *mut PyObject, key: *mut PyObject, value: *mut PyObject) -> c_int;
    pub fn PyDict_SetItemString(dict: *mut PyObject, key: *const c_char, value: *mut PyObject) -> c_int;
    pub fn PyDict_DelItemString(dict: *mut PyObject, key: *const c_char) -> c_int;
    pub fn PyDict_GetItemRef(dict: *mut PyObject, key: *mut PyObject, value: *mut *mut PyObject) -> c_int;
    pub fn PyDict_Contains(dict: *mut PyObject, key: *mut PyObject) -> c_int;
    pub fn PyDict_Next(
        dict: *mut PyObject,
        at: *mut isize,
        key: *mut *mut PyObject,
        value: *mut *mut PyObject,
    ) -> c_int;
}

/// Declares constants of CPython: each function gives the address of the symbol it is named after.
macro_rules! addresses {
    ($($function:ident = $symbol:literal;)*) => {
        mod address {
            use super::PyObject;
            #[link(wasm_import_module = "address")]
            unsafe extern "C" {
                $(
                    #[link_name = $symbol]
                    pub fn $function() -> *mut PyObject;
                )*
            }
        }
        $(
            #[inline(always)]
            pub fn $function() -> *mut PyObject {
                unsafe { address::$function() }
            }
        )*
    };
}

addresses! {
    none = "_Py_NoneStruct";
    py_true = "_Py_TrueStruct";
    py_false = "_Py_FalseStruct";
    function_type = "PyFunction_Type";
    float_type = "PyFloat_Type";
    ordered_dict_type = "PyODict_Type";
    text_type = "PyUnicode_Type";
    set_type = "PySet_Type";
    frozen_set_type = "PyFrozenSet_Type";
    bytes_type = "PyBytes_Type";
    byte_array_type = "PyByteArray_Type";
    code_type = "PyCode_Type";
    frozen_modules = "PyImport_FrozenModules";
}

/// Exceptions are pointers kept in variables, so their address is read.
macro_rules! exceptions {
    ($($function:ident = $symbol:literal;)*) => {
        mod exception {
            use super::PyObject;
            #[link(wasm_import_module = "address")]
            unsafe extern "C" {
                $(
                    #[link_name = $symbol]
                    pub fn $function() -> *const *mut PyObject;
                )*
            }
        }
        $(
            pub fn $function() -> *mut PyObject {
                unsafe { *exception::$function() }
            }
        )*
    };
}

exceptions! {
    base_exception_group = "PyExc_BaseExceptionGroup";
    memory_error = "PyExc_MemoryError";
    os_error = "PyExc_OSError";
    runtime_error = "PyExc_RuntimeError";
    system_exit = "PyExc_SystemExit";
    syntax_error = "PyExc_SyntaxError";
    type_error = "PyExc_TypeError";
    value_error = "PyExc_ValueError";
}

/// An exception is set in the interpreter.
#[derive(Debug)]
pub struct Raised;

/// An owned reference.
pub struct Object(NonNull<PyObject>);

impl Object {
    /// Takes over the reference that a C function returned; null means that it raised.
    pub fn owned(pointer: *mut PyObject) -> Result<Object, Raised> {
        NonNull::new(pointer).map(Object).ok_or(Raised)
    }

    /// Shares a borrowed reference.
    pub fn borrowed(pointer: *mut PyObject) -> Result<Object, Raised> {
        let object = NonNull::new(pointer).ok_or(Raised)?;
        unsafe { Py_IncRef(pointer) };
        Ok(Object(object))
    }

    pub fn none() -> Object {
        unsafe { Py_IncRef(none()) };
        Object(NonNull::new(none()).expect("None has an address"))
    }

    pub fn text(text: &str) -> Result<Object, Raised> {
        Object::owned(unsafe { PyUnicode_FromStringAndSize(text.as_ptr(), text.len() as isize) })
    }

    pub fn pointer(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference away, to a C function that takes it over.
    pub fn into_pointer(self) -> *mut PyObject {
        let pointer = self.0.as_ptr();
        core::mem::forget(self);
        pointer
    }

    pub fn kind(&self) -> *mut PyObject {
        kind_of(self.pointer())
    }

    pub fn is_none(&self) -> bool {
        self.pointer() == none()
    }

    pub fn attribute(&self, name: &CStr) -> Result<Object, Raised> {
        Object::owned(unsafe { PyObject_GetAttrString(self.pointer(), name.as_ptr()) })
    }

    /// An attribute that is a small integer.
    pub fn integer_attribute(&self, name: &CStr) -> Result<i32, Raised> {
        let value = self.attribute(name)?;
        let number = unsafe { PyLong_AsLong(value.pointer()) };
        if number == -1 && raised() { Err(Raised) } else { Ok(number) }
    }

    pub fn call(&self, args: &Object, kwargs: Option<&Object>) -> Result<Object, Raised> {
        let kwargs = kwargs.map_or(core::ptr::null_mut(), Object::pointer);
        Object::owned(unsafe { PyObject_Call(self.pointer(), args.pointer(), kwargs) })
    }

    pub fn call_with(&self, argument: &Object) -> Result<Object, Raised> {
        Object::owned(unsafe { PyObject_CallOneArg(self.pointer(), argument.pointer()) })
    }

    /// The text of a `str` without lone surrogates. Valid as long as the object.
    pub fn as_text(&self) -> Result<&str, Raised> {
        let mut length = 0;
        let text = unsafe { PyUnicode_AsUTF8AndSize(self.pointer(), &mut length) };
        if text.is_null() {
            return Err(Raised);
        }
        Ok(unsafe { core::str::from_utf8_unchecked(core::slice::from_raw_parts(text, length as usize)) })
    }

    pub fn as_bytes(&self) -> Result<&[u8], Raised> {
        let (mut bytes, mut length) = (core::ptr::null_mut(), 0);
        if unsafe { PyBytes_AsStringAndSize(self.pointer(), &mut bytes, &mut length) } < 0 {
            return Err(Raised);
        }
        Ok(unsafe { core::slice::from_raw_parts(bytes, length as usize) })
    }
}

impl Clone for Object {
    fn clone(&self) -> Object {
        unsafe { Py_IncRef(self.pointer()) };
        Object(self.0)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        unsafe { Py_DecRef(self.pointer()) }
    }
}

/// The type of an object, borrowed.
pub fn kind_of(object: *mut PyObject) -> *mut PyObject {
    unsafe { (*object).kind }
}

/// Whether `kind` is `of` or derives from it.
pub fn derives(kind: *mut PyObject, of: *mut PyObject) -> bool {
    kind == of || unsafe { PyType_IsSubtype(kind, of) } != 0
}

pub fn raised() -> bool {
    !unsafe { PyErr_Occurred() }.is_null()
}

pub fn clear() {
    unsafe { PyErr_Clear() }
}

pub fn check(status: c_int) -> Result<(), Raised> {
    if status < 0 { Err(Raised) } else { Ok(()) }
}

/// Makes a tuple of its items.
pub fn tuple<const LENGTH: usize>(items: [Object; LENGTH]) -> Result<Object, Raised> {
    let tuple = Object::owned(unsafe { PyTuple_New(LENGTH as isize) })?;
    for (at, item) in items.into_iter().enumerate() {
        check(unsafe { PyTuple_SetItem(tuple.pointer(), at as isize, item.into_pointer()) })?;
    }
    Ok(tuple)
}

/// Looks a key up; absence is not an error.
pub fn lookup(dict: &Object, key: &Object) -> Result<Option<Object>, Raised> {
    let mut value = core::ptr::null_mut();
    check(unsafe { PyDict_GetItemRef(dict.pointer(), key.pointer(), &mut value) })?;
    Ok(if value.is_null() { None } else { Some(Object::owned(value)?) })
}

/// An item of a tuple, shared.
pub fn tuple_item(tuple: &Object, at: isize) -> Result<Object, Raised> {
    Object::borrowed(unsafe { PyTuple_GetItem(tuple.pointer(), at) })
}

/// The attributes of a type by which CPython marks the built-in types and their subclasses.
pub mod flag {
    pub const LONG: u32 = 1 << 24;
    pub const LIST: u32 = 1 << 25;
    pub const TUPLE: u32 = 1 << 26;
    pub const TEXT: u32 = 1 << 28;
    pub const DICT: u32 = 1 << 29;
}
