//! The user's text: parsed, refused where it would change more than itself, and made fit to stand in a module.

use proc_macro2::{LineColumn, TokenStream, TokenTree};
use syn::{Attribute, File, Item};

use crate::wire::Reply;

/// The module in which the user's text stands.
pub const MODULE: &str = "user";

/// Attributes of a whole file that concern nothing but its own lints and documentation.
const HARMLESS: [&str; 8] = ["allow", "warn", "deny", "forbid", "expect", "doc", "rustfmt", "clippy"];

/// A source that can be compiled, as far as its form goes.
pub struct Source {
    pub file: File,
    /// The text as it is compiled: with the same lines.
    pub text: String,
}

/// Parses a source.
pub fn read(text: &str) -> Result<Source, Reply> {
    let file = syn::parse_file(text).map_err(|error| not_rust(&error.to_string(), error.span().start()))?;
    if let Some(attribute) = file.attrs.iter().find(|attribute| !is_harmless(attribute)) {
        let name = name(attribute);
        let line = attribute.pound_token.spans[0].start().line;
        return Err(Reply::bad_source(format!(
            "the attribute `#![{name}]` (line {line}) would change how everything is compiled: leave it out"
        )));
    }
    let tokens: TokenStream = text.parse().map_err(|_| Reply::bad_source("the source cannot be split into words"))?;
    let mut places = Vec::new();
    find_roots(tokens, &exported_macros(&file), &mut places);
    Ok(Source { file, text: lead_to_module(text, &places) })
}

fn not_rust(what: &str, place: LineColumn) -> Reply {
    Reply::bad_source(format!("syntax error: {what} (line {}, column {})", place.line, place.column + 1))
}

fn is_harmless(attribute: &Attribute) -> bool {
    let first = attribute.path().segments.first();
    first.is_some_and(|segment| HARMLESS.iter().any(|name| segment.ident == name))
}

fn name(attribute: &Attribute) -> String {
    let names: Vec<_> = attribute.path().segments.iter().map(|segment| segment.ident.to_string()).collect();
    names.join("::")
}

/// Returns the names of the macros that stand at the root of the crate wherever they are written.
fn exported_macros(file: &File) -> Vec<String> {
    fn of_items(items: &[Item], names: &mut Vec<String>) {
        for item in items {
            match item {
                Item::Macro(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) => {
                    names.extend(item.ident.as_ref().map(ToString::to_string));
                }
                Item::Mod(module) => module.content.iter().for_each(|(_, items)| of_items(items, names)),
                _ => {}
            }
        }
    }
    let mut names = Vec::new();
    of_items(&file.items, &mut names);
    names
}

/// Finds every `crate` that begins a path, but for paths of macros that stand at the root.
fn find_roots(tokens: TokenStream, macros: &[String], places: &mut Vec<LineColumn>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => find_roots(group.stream(), macros, places),
            TokenTree::Ident(ident) if ident == "crate" => {
                let is_colon =
                    |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                let leads_to_macro =
                    matches!(tokens.get(index + 3), Some(TokenTree::Ident(name)) if macros.contains(&name.to_string()));
                places.extend((is_colon(index + 1) && !leads_to_macro).then(|| ident.span().start()));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Writes each of these `crate` as the path of the module in which the text stands.
fn lead_to_module(text: &str, places: &[LineColumn]) -> String {
    if places.is_empty() {
        return text.to_owned();
    }
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    // From behind, so that what comes first on a line stays where it is.
    for place in places.iter().rev() {
        let line = &mut lines[place.line - 1];
        let end: usize = line.chars().take(place.column + "crate".len()).map(char::len_utf8).sum();
        line.insert_str(end, &format!("::{MODULE}"));
    }
    lines.join("\n")
}
