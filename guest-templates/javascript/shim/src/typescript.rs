//! TypeScript to JavaScript.
//!
//! The text is the function's own and may be hostile; it is parsed here, inside the sandbox, like everything else of it.
//! Types are removed and never checked; enums, namespaces and parameter properties become JavaScript.

use std::path::Path;

use oxc::allocator::{Allocator, ArenaBox};
use oxc::ast::ast::{Expression, FormalParameter, Program};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{VisitMut, walk_mut};
use oxc::codegen::{Codegen, CodegenOptions};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::{SPAN, SourceType};
use oxc::transformer::{TransformOptions, Transformer};

use crate::lines::{self, Entry};

/// Deepest nesting of brackets: the parser calls itself for each.
const MAX_NESTING: usize = 500;
/// Longest source: the tree of it takes some twenty times as much memory.
const MAX_SOURCE: usize = 2 << 20;

/// JavaScript, and where it comes from.
pub struct JavaScript {
    pub code: String,
    /// See [`crate::lines`].
    pub positions: Vec<u8>,
}

/// Why source was refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    /// Line and column, from 1.
    pub position: Option<(u32, u32)>,
}

/// Makes JavaScript of TypeScript.
pub fn to_javascript(source: &str) -> Result<JavaScript, Refusal> {
    check_size(source)?;
    let allocator = Allocator::default();
    let kind = SourceType::ts().with_module(true);
    let parsed = Parser::new(&allocator, source, kind).parse();
    if let Some(error) = parsed.diagnostics.first() {
        return Err(refusal(error, source));
    }
    let mut program = parsed.program;
    mark_optional(&allocator, &mut program);
    let semantic = SemanticBuilder::new().with_excess_capacity(2.0).build(&program);
    if let Some(error) = semantic.diagnostics.first() {
        return Err(refusal(error, source));
    }
    let options = TransformOptions::default();
    let path = Path::new("function.ts");
    let scoping = semantic.semantic.into_scoping();
    let transformed = Transformer::new(&allocator, path, &options).build_with_scoping(scoping, &mut program);
    if let Some(error) = transformed.diagnostics.first() {
        return Err(refusal(error, source));
    }
    let options = CodegenOptions { source_map_path: Some(path.into()), ..CodegenOptions::default() };
    let generated = Codegen::new().with_options(options).with_scoping(Some(transformed.scoping)).build(&program);
    let entries = generated.map.iter().flat_map(|map| map.get_tokens()).map(|token| Entry {
        line: token.get_dst_line(),
        column: token.get_dst_col(),
        source_line: token.get_src_line(),
        source_column: token.get_src_col(),
    });
    Ok(JavaScript { positions: lines::table(entries), code: generated.code })
}

fn refusal(error: &OxcDiagnostic, source: &str) -> Refusal {
    let position = error.labels.first().map(|label| position(source, label.offset() as usize));
    Refusal { message: error.message.to_string(), position }
}

/// Line and column of a byte, from 1; columns count characters.
fn position(source: &str, offset: usize) -> (u32, u32) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count();
    (line as u32 + 1, before[line_start..].chars().count() as u32 + 1)
}

/// Refuses what could exhaust the parser's stack. Other ways to nest deeply end in a trap, which ends only this call.
fn check_size(source: &str) -> Result<(), Refusal> {
    if source.len() > MAX_SOURCE {
        return Err(Refusal { message: format!("the source is longer than {MAX_SOURCE} bytes"), position: None });
    }
    // Brackets in strings and comments count too: nobody writes that many. Angles compare as well as they enclose types,
    // so they count within a statement only.
    let (mut brackets, mut angles) = (0_usize, 0_usize);
    for (at, byte) in source.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            b'<' => angles += 1,
            b'>' => angles = angles.saturating_sub(1),
            b';' => angles = 0,
            _ => {}
        }
        if brackets.max(angles) > MAX_NESTING {
            let message = format!("brackets are nested deeper than {MAX_NESTING} levels");
            return Err(Refusal { message, position: Some(position(source, at)) });
        }
    }
    Ok(())
}

/// Gives each optional parameter the default `undefined`, so that the JavaScript still says that it is optional.
fn mark_optional<'a>(allocator: &'a Allocator, program: &mut Program<'a>) {
    struct Marker<'a>(AstBuilder<'a>);
    impl<'a> VisitMut<'a> for Marker<'a> {
        fn visit_formal_parameter(&mut self, parameter: &mut FormalParameter<'a>) {
            walk_mut::walk_formal_parameter(self, parameter);
            if std::mem::take(&mut parameter.optional) && parameter.initializer.is_none() {
                let undefined = Expression::new_identifier(SPAN, "undefined", &self.0);
                parameter.initializer = Some(ArenaBox::new_in(undefined, &self.0));
            }
        }
    }
    Marker(AstBuilder::new(allocator)).visit_program(program);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let code = to_javascript(source).map(|javascript| javascript.code);
        assert_eq!(code.as_deref().map(str::trim), Ok(expected), "{source}");
    }

    #[test]
    fn types_are_removed() {
        check("function f(a: number, b?: string): void {}", "function f(a, b = undefined) {}");
        check("interface A { x: number }\ntype B = A | null;\nconst x = 1 as unknown as B;", "const x = 1;");
        check("const f = <T,>(x: T) => x satisfies T;", "const f = (x) => x;");
    }

    #[test]
    fn constructs_with_a_meaning_become_javascript() {
        let code = to_javascript("enum E { A, B = 5 }\nclass P { constructor(private x: number) {} }")
            .expect("TypeScript")
            .code;
        assert!(code.contains("E[E[\"B\"] = 5] = \"B\""), "{code}");
        assert!(code.contains("this.x = x"), "{code}");
    }

    #[test]
    fn positions_lead_back_to_the_source() {
        let source = "interface Long {\n  a: number;\n  b: string;\n}\nfunction f(x: Long): number {\n  throw new Error(x.b);\n}";
        let javascript = to_javascript(source).expect("TypeScript");
        let line = javascript.code.lines().position(|line| line.contains("throw")).expect("the statement") as u32 + 1;
        assert_eq!(lines::original(&javascript.positions, line, 2).0, 6);
    }

    #[test]
    fn what_does_not_parse_is_refused_with_its_place() {
        let refusal = to_javascript("const a = 1;\nfunction f(x: number: string) {}").err().expect("a refusal");
        assert_eq!(refusal.position, Some((2, 21)), "{}", refusal.message);
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("A<", ">")] {
            let source = open.repeat(100_000) + &close.repeat(100_000);
            let refusal = to_javascript(&source).err().expect("a refusal");
            assert!(refusal.message.contains("nested deeper"), "{}", refusal.message);
        }
    }
}
