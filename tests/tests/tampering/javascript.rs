//! What JavaScript can redefine: everything, and the shim uses none of it.

use greensand_types::CallStatus::{Denied, Error, Invalid, Memory, OutputLimit, Timeout};

use crate::{Attempt, check, ends, returns};

#[test]
fn javascript_does_not_lie_about_its_values() {
    check("javascript", values());
}

#[test]
fn javascript_does_not_lie_about_its_end() {
    check("javascript", endings());
}

fn values() -> Vec<Attempt> {
    vec![
        returns("JSON is replaced", "JSON.stringify = JSON.parse = () => '\"forged\"'; function f() { return { a: 1 } }", "{\"a\":1}"),
        returns("JSON is gone", "delete globalThis.JSON; function f(x) { return x }", "{\"a\":[1]}").with("[{\"a\":[1]}]"),
        returns(
            "methods of arrays throw",
            "for (const name of Object.getOwnPropertyNames(Array.prototype)) try { Array.prototype[name] = () => { throw name } } catch {}\n\
             function f(...x) { return x }",
            "[1,[2]]",
        )
        .with("[1,[2]]"),
        returns(
            "a prototype has setters",
            "Object.defineProperty(Object.prototype, 'a', { set() { throw 1 }, get() { return 'forged' } });\n\
             Object.defineProperty(Array.prototype, '0', { set() { throw 2 }, get() { return 'forged' } });\n\
             function f(x, y) { return { x, y } }",
            "{\"x\":{\"a\":1},\"y\":[2]}",
        )
        .with("[{\"a\":1},[2]]"),
        returns(
            "arguments by name meet a prototype with setters",
            "Object.defineProperty(Object.prototype, 'x', { set() { throw 1 }, get() { return 'forged' } }); function f(x) { return x }",
            "5",
        )
        .with("{\"x\":5}"),
        returns(
            "then is replaced",
            "Promise.prototype.then = function () { throw 1 }; Promise.prototype.constructor = null;\n\
             async function f() { return await 5 }",
            "5",
        ),
        returns("the class of promises is replaced", "globalThis.Promise = class { then(r) { r('forged') } }; async function f() { return 5 }", "5"),
        returns("functions have other lengths and texts",
            "function f(a, b) { return [a, b] } Object.defineProperty(f, 'length', { value: 0 }); f.toString = () => '() => 0'; f.name = 5;",
            "[1,2]",
        )
        .with("[1,2]"),
        returns("call and apply are replaced", "Function.prototype.call = Function.prototype.apply = () => 'forged'; function f(x) { return x }", "1").with("[1]"),
        // By the rules of the language: the top-level function is that property.
        returns("the entry is replaced", "function f() { return 1 } globalThis.f = () => 2;", "2"),
        returns("the entry removes itself", "function f() { globalThis.f = null; return 1 }", "1"),
        returns("an array without a prototype", "function f() { return Object.setPrototypeOf([1, 2], null) }", "[1,2]"),
        returns(
            "an array that iterates otherwise",
            "class A extends Array { *[Symbol.iterator]() { yield 'forged' } get length2() { return 9 } } function f() { return A.of(1, 2) }",
            "[1,2]",
        ),
        returns("a map that iterates otherwise",
            "class M extends Map { forEach() { } entries() { return [] } *[Symbol.iterator]() {} } function f() { return new M([[1, 2]]) }",
            "{\"$type\":\"M\",\"$entries\":[[1,2]]}",
        )
        .tagged(),
        returns("a tag of one's own", "function f() { return { $type: 'set', $items: [] } }", "{\"$type\":\"Object\",\"$entries\":[[\"$type\",\"set\"],[\"$items\",[]]]}").tagged(),
        ends("a value that says what its JSON is", "function f() { return { a: 1, toJSON() { return 'forged' } } }", Invalid, "result.toJSON"),
        ends("an object that says what its value is", "function f() { return { [Symbol.toPrimitive]() { return 5 } } }", Invalid, "Symbol(Symbol.toPrimitive)"),
        ends("a boxed number", "function f() { return new Number(5) }", Invalid, "Number"),
        ends("a proxy", "function f() { return { x: new Proxy({}, { ownKeys() { throw 1 }, get() { throw 2 } }) } }", Invalid, "result.x is of type `Proxy`"),
        ends("something that will be something else", "function f() { return { then(resolve) { resolve('forged') } } }", Invalid, "result.then"),
        ends("an array that is long and empty", "function f() { const a = []; a.length = 4e9; return a }", Invalid, "result[0] is undefined"),
        returns("an array that grows while it is written",
            "function f() { const a = []; let left = 3; const more = () => ({ get x() { if (left-- > 0) a.push(more()); return left } }); a.push(more()); return a }",
            "[{\"x\":2},{\"x\":1},{\"x\":0},{\"x\":-1}]",
        ),
        ends("an array that grows without end", "function f() { const a = []; const more = () => ({ get x() { a.push(more()); return 1 } }); a.push(more()); return a }", OutputLimit, "larger than"),
    ]
}

fn endings() -> Vec<Attempt> {
    vec![
        ends(
            "a getter throws",
            "function f() { return { get x() { throw new TypeError('mine') } } }",
            Error,
            "TypeError: mine",
        ),
        ends("a getter loops", "function f() { return { get x() { for (;;); } } }", Timeout, ""),
        ends(
            "a getter takes the depth of the stack",
            "function f() { return { get x() { return f().x } } }",
            Error,
            "Maximum call stack",
        ),
        ends(
            "what is thrown has a text that loops",
            "function f() { throw { toString() { for (;;); }, get message() { for (;;); } } }",
            Error,
            "uncaught",
        ),
        ends(
            "an error whose message loops",
            "function f() { const e = new Error('x'); Object.defineProperty(e, 'message', { get() { for (;;); } }); throw e }",
            Error,
            "Error",
        ),
        ends(
            "an error that is a proxy",
            "function f() { throw new Proxy(new Error('x'), { get() { for (;;); }, getPrototypeOf() { for (;;); } }) }",
            Error,
            "uncaught",
        ),
        ends(
            "stacks are prepared otherwise",
            "Error.prepareStackTrace = () => 'at forged (function.js:1:1)'; function f() { throw new Error('mine') }",
            Error,
            "Error: mine",
        ),
        ends(
            "stacks are prepared without end",
            "Error.prepareStackTrace = () => { for (;;); }; function f() { throw new Error('mine') }",
            Timeout,
            "",
        ),
        ends(
            "there are no stacks",
            "Object.defineProperty(Error, 'stackTraceLimit', { get() { throw 1 } }); function f() { throw new Error('mine') }",
            Error,
            "mine",
        ),
        ends("undefined is thrown", "function f() { throw undefined }", Error, "uncaught undefined"),
        ends(
            "null is thrown, which the engine throws when all memory is gone",
            "function f() { throw null }",
            Error,
            "uncaught null",
        ),
        ends(
            "an error says that memory is gone",
            "function f() { throw new InternalError('out of memory') }",
            Error,
            "InternalError: out of memory",
        ),
        ends(
            "an error is renamed to it",
            "function f() { const e = new Error('out of memory'); e.name = 'InternalError'; throw e }",
            Error,
            "InternalError: out of memory",
        ),
        ends(
            "a lack of memory was survived, and something else happened",
            "function f() { try { new ArrayBuffer(2 ** 31 - 1) } catch {} throw new TypeError('mine') }",
            Error,
            "TypeError: mine",
        ),
        ends(
            "memory that is gone",
            "function f() { const a = []; for (;;) a.push(new Uint8Array(1 << 20)) }",
            Memory,
            "64 MiB",
        ),
        ends(
            "memory that no address could name",
            "function f() { return new ArrayBuffer(2 ** 31 - 1) }",
            Memory,
            "64 MiB",
        ),
        ends(
            "an error says that something was refused",
            "function f() { throw Object.assign(new Error('mine'), { code: 'ERR_ACCESS_DENIED' }) }",
            Error,
            "mine",
        ),
        ends(
            "something was refused, and something else happened",
            "async function f() { try { await fetch('http://x/') } catch {} throw new TypeError('mine') }",
            Error,
            "mine",
        ),
        ends("something was refused", "async function f() { await fetch('http://x/') }", Denied, "network"),
        ends(
            "the granted functions are replaced",
            "greensand.call = undefined; function f() { return greensand.call('x') }",
            Denied,
            "`x`",
        ),
        ends("a function of no such name", "function f() { return greensand.call('x') }", Denied, "`x`"),
        returns(
            "a job fails after the result",
            "function f() { queueMicrotask(() => { throw new Error('late') }); return 1 }",
            "1",
        ),
        ends(
            "a job makes jobs without end",
            "function f() { (function again() { Promise.resolve().then(again) })(); return 1 }",
            Timeout,
            "",
        ),
        ends(
            "a promise of a promise of nothing",
            "function f() { return new Promise(() => {}) }",
            Error,
            "never settles",
        ),
        ends("the source closes the shim's", "function f() { return 1 } })(); (() => {", Invalid, ""),
        ends(
            "the module exports nothing callable",
            "module.exports = { get f() { throw new Error('mine') } };",
            Invalid,
            "no `f`",
        ),
        ends("a pattern that backtracks", "function f() { return /^(a+)+$/.test('a'.repeat(40) + 'b') }", Timeout, ""),
    ]
}
