//! `_greensand`: the host as the shim's own Python code sees it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::files;
use crate::host::{self, Capability};
use crate::json_in::{self, Refusal};
use crate::json_out::{self, Failure};
use crate::python::{
    self, ANY_ARGUMENTS, API_VERSION, ONE_ARGUMENT, Object, PyBytes_FromStringAndSize, PyErr_SetString,
    PyList_GetItemRef, PyList_Size, PyLong_FromLongLong, PyMethodDef, PyModule_Create2, PyModuleDef, PyObject, Raised,
};
use crate::source;
use crate::wire::Encoding;

/// Makes the module; CPython calls it at the first import.
pub unsafe extern "C" fn create() -> *mut PyObject {
    const NONE: PyMethodDef = PyMethodDef { name: core::ptr::null(), function: None, flags: 0, doc: core::ptr::null() };
    struct Definitions(PyModuleDef, [PyMethodDef; 6]);
    // SAFETY: one thread; CPython writes to the definition when the module is made.
    unsafe impl Sync for Definitions {}
    static mut DEFINITIONS: Definitions = Definitions(
        PyModuleDef {
            references: 1,
            kind: core::ptr::null_mut(),
            base: [0; 3],
            name: c"_greensand".as_ptr(),
            doc: core::ptr::null(),
            size: -1,
            methods: core::ptr::null(),
            slots: [0; 4],
        },
        [
            PyMethodDef {
                name: c"module".as_ptr(),
                function: Some(module),
                flags: ONE_ARGUMENT,
                doc: c"The code of a library module and whether it is a package, or None.".as_ptr(),
            },
            PyMethodDef {
                name: c"content".as_ptr(),
                function: Some(content),
                flags: ONE_ARGUMENT,
                doc: c"What the host holds under a name, as bytes, or None.".as_ptr(),
            },
            PyMethodDef {
                name: c"show_files".as_ptr(),
                function: Some(show_files),
                flags: ONE_ARGUMENT,
                doc: c"Lets the paths of a list, from the library, be read as files.".as_ptr(),
            },
            PyMethodDef {
                name: c"call".as_ptr(),
                function: Some(call),
                flags: ANY_ARGUMENTS,
                doc: c"Calls a granted function by name with a list or dict: its status, and its result or message."
                    .as_ptr(),
            },
            PyMethodDef {
                name: c"refused".as_ptr(),
                function: Some(refused),
                flags: ONE_ARGUMENT,
                doc: c"Tells the host that a capability was asked for and refused.".as_ptr(),
            },
            NONE,
        ],
    );
    unsafe {
        let definitions = &raw mut DEFINITIONS;
        (*definitions).0.methods = (&raw const (*definitions).1).cast();
        PyModule_Create2(&raw const (*definitions).0, API_VERSION)
    }
}

unsafe extern "C" fn module(_: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    let found = Object::borrowed(name).and_then(|name| {
        let Some(content) = host::module(name.as_text()?) else { return Ok(Object::none()) };
        let (is_package, code) = content.split_first().ok_or(Raised)?;
        let is_package = if *is_package == 0 { python::py_false() } else { python::py_true() };
        python::tuple([source::unmarshalled(code)?, Object::borrowed(is_package)?])
    });
    answer(found)
}

unsafe extern "C" fn content(_: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    let found = Object::borrowed(name).and_then(|name| match host::module(name.as_text()?) {
        Some(content) => Object::owned(unsafe { PyBytes_FromStringAndSize(content.as_ptr(), content.len() as isize) }),
        None => Ok(Object::none()),
    });
    answer(found)
}

unsafe extern "C" fn show_files(_: *mut PyObject, names: *mut PyObject) -> *mut PyObject {
    let shown = || -> Result<Object, Raised> {
        let mut paths: Vec<String> = Vec::new();
        for at in 0..unsafe { PyList_Size(names) } {
            paths.push(Object::owned(unsafe { PyList_GetItemRef(names, at) })?.as_text()?.into());
        }
        files::set_packaged(paths);
        Ok(Object::none())
    };
    answer(shown())
}

unsafe extern "C" fn call(_: *mut PyObject, given: *mut PyObject) -> *mut PyObject {
    let called = Object::borrowed(given).and_then(|given| {
        let (name, arguments) = (python::tuple_item(&given, 0)?, python::tuple_item(&given, 1)?);
        let arguments = match json_out::encode(&arguments, Encoding::Strict, usize::MAX) {
            Ok(json) => json,
            Err(Failure::NoForm(message)) => {
                return raise(python::type_error(), &message.replacen("result", "argument", 1));
            }
            Err(Failure::TooLarge | Failure::Raised) => return Err(Raised),
        };
        let name = name.as_text()?;
        let (status, reply) = host::call(name, &arguments);
        let value = match status {
            0 => match json_in::value(&reply) {
                Ok(value) => value,
                Err(Refusal::Message(message)) => {
                    let message = message.replacen("arguments", "values", 1);
                    return raise(python::value_error(), &format!("the result of the granted function: {message}"));
                }
                Err(Refusal::Raised) => return Err(Raised),
            },
            _ => Object::text(&String::from_utf8_lossy(&reply))?,
        };
        python::tuple([Object::owned(unsafe { PyLong_FromLongLong(status.into()) })?, value])
    });
    answer(called)
}

fn raise(kind: *mut PyObject, message: &str) -> Result<Object, Raised> {
    let message = alloc::ffi::CString::new(message).unwrap_or_default();
    unsafe { PyErr_SetString(kind, message.as_ptr()) };
    Err(Raised)
}

unsafe extern "C" fn refused(_: *mut PyObject, what: *mut PyObject) -> *mut PyObject {
    let told = Object::borrowed(what).and_then(|what| {
        let name = what.as_text()?;
        if let Some(capability) = Capability::ALL.into_iter().find(|capability| capability.name() == name) {
            host::refused(capability);
        }
        Ok(Object::none())
    });
    answer(told)
}

/// Hands a result to CPython, which wants an exception with every null.
fn answer(result: Result<Object, Raised>) -> *mut PyObject {
    match result {
        Ok(object) => object.into_pointer(),
        Err(Raised) => {
            if !python::raised() {
                unsafe { PyErr_SetString(python::runtime_error(), c"the library is damaged".as_ptr()) };
            }
            core::ptr::null_mut()
        }
    }
}
