//! What TypeScript adds: a parser that the source is the first to meet.

use greensand_types::CallStatus::{Error, Invalid};

use crate::{Attempt, check, ends, returns};

#[test]
fn typescript_does_not_lie() {
    check("typescript", attempts());
}

fn attempts() -> Vec<Attempt> {
    let labels: String = (0..20_000).map(|label| format!("l{label}:")).collect();
    let negations = "!".repeat(50_000);
    vec![
        ends(
            "a chain of labels exhausts the parser",
            format!("export function f() {{ {labels} for (;;) {{ break }} return 1 }}"),
            Error,
            "",
        ),
        returns("a chain of negations does not", format!("export function f() {{ return {negations}1 }}"), "true"),
        ends(
            "brackets are counted before",
            format!("export const f = () => {}1{}", "(".repeat(600), ")".repeat(600)),
            Invalid,
            "nested deeper",
        ),
        ends(
            "an error says that memory is gone",
            "declare const InternalError: any; export function f() { throw new InternalError('out of memory') }",
            Error,
            "out of memory",
        ),
        returns(
            "a class replaces the types",
            "class Array { } class Object { } class Promise { } export function f(): number[] { return [1, 2] }",
            "[1,2]",
        ),
        returns("an enum is changed", "enum E { A = 1 } (E as any).A = 5; export function f() { return E.A }", "5"),
    ]
}
