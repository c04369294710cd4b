//! What is compiled: the user's text in a file of its own, so that none of its braces closes ours, and the code around.
//!
//! The code around stands in a module *inside* of the user's: types that are private there are within its reach, so a
//! `pub fn` may return an error of a private type, as it may in any crate.

use serde_json::json;

use crate::entry::Entry;
use crate::source::Source;

/// The root of every plan.
const ROOT: &str = "mod user;\n";

/// What comes after the user's text, on lines of its own.
const AFTER: &str = "\n#[path = \"entry.rs\"]\nmod greensand_entry;\n";

/// Returns the files to compile for an entry, or for a source of which only is asked whether it compiles.
pub fn of(source: &Source, entry: Option<&Entry<'_>>) -> String {
    let files = match entry {
        None => json!({"main.rs": ROOT, "user.rs": source.text}),
        Some(entry) => {
            json!({"main.rs": ROOT, "user.rs": format!("{}{AFTER}", source.text), "entry.rs": around(entry)})
        }
    };
    json!({"files": files}).to_string()
}

/// Returns the code that takes the arguments, calls the entry and answers.
fn around(entry: &Entry<'_>) -> String {
    let names: Vec<_> = entry.parameters.iter().map(|parameter| format!("{:?}", parameter.name)).collect();
    let taken: Vec<_> = (0..names.len()).map(|index| format!("let argument_{index} = arguments.take()?;")).collect();
    let given: Vec<_> = (0..names.len()).map(|index| format!("argument_{index}")).collect();
    let call = format!("super::{}({})", entry.ident(), given.join(", "));
    let answer = match entry.returns_result {
        true => format!(
            "match {call} {{
        Ok(value) => rt::answer(arguments, &value),
        Err(error) => Err(rt::raised((&&&rt::Returned(&error)).words())),
    }}"
        ),
        false => format!("rt::answer(arguments, &{call})"),
    };
    format!(
        r#"use ::greensand::rt::{{self, ByDebug as _, ByDisplay as _, ByNothing as _}};

#[unsafe(no_mangle)]
extern "C" fn gs_alloc(len: u32) -> u32 {{
    rt::alloc(len)
}}

#[unsafe(no_mangle)]
extern "C" fn gs_invoke(pointer: u32, len: u32) -> u64 {{
    unsafe {{ rt::invoke(pointer, len, &[{names}], call) }}
}}

fn call(arguments: &mut rt::Arguments<'_>) -> rt::Answer {{
    {taken}
    {answer}
}}
"#,
        names = names.join(", "),
        taken = taken.join("\n    "),
    )
}
