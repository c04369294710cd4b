//! What is compiled: the user's text in a file of its own, so that none of its braces closes ours, and the code around.

use serde_json::json;

use crate::entry::Entry;
use crate::source::{MODULE, Source};

/// What every plan begins with.
const ROOT: &str = "mod user;\n";

/// Returns the files to compile for an entry, or for a source of which only is asked whether it compiles.
pub fn of(source: &Source, entry: Option<&Entry<'_>>) -> String {
    let around = entry.map_or_else(String::new, around);
    json!({"files": {"main.rs": format!("{ROOT}{around}"), "user.rs": source.text}}).to_string()
}

/// Returns the code that takes the arguments, calls the entry and answers.
fn around(entry: &Entry<'_>) -> String {
    let names: Vec<_> = entry.parameters.iter().map(|parameter| format!("{:?}", parameter.name)).collect();
    let taken: Vec<_> = (0..names.len()).map(|index| format!("let argument_{index} = arguments.take()?;")).collect();
    let given: Vec<_> = (0..names.len()).map(|index| format!("argument_{index}")).collect();
    let call = format!("{MODULE}::{}({})", entry.ident(), given.join(", "));
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
        r#"use greensand::rt::{{self, ByDebug as _, ByDisplay as _, ByNothing as _}};

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
