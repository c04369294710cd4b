//! Calls through the door, fresh and restored, from source and prepared: `cargo bench -p greensand-sandbox --bench calls`.
//!
//! `nothing` is the price of an instance and of the way there and back: a source without a line is compiled.

#![allow(missing_docs, reason = "the macros of the harness write public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark ends where something unexpected is found")]

use criterion::{Criterion, criterion_group, criterion_main};
use futures::executor::block_on;
use greensand_sandbox::{InstanceMode, Sandbox, SandboxSettings};
use greensand_types::{Entry, FunctionRuntime, Invocation, JsonText, Language, SourceText};

const ADD: &str = "def f(a, b):\n    return a + b\n";

const TEN_LINES: &str = "
import math
def f(a, b):
    total = 0
    for index in range(10):
        if index % 2:
            total += math.gcd(a, index)
        else:
            total -= b
    words = [str(total)] * 3
    return {'total': total, 'words': ' '.join(words)}
";

fn calls(criterion: &mut Criterion) {
    check(criterion, "python/fresh from source", InstanceMode::Fresh, 0);
    check(criterion, "python/fresh prepared", InstanceMode::Fresh, 1 << 20);
    check(criterion, "python/pristine from source", InstanceMode::Pristine, 0);
    check(criterion, "python/pristine prepared", InstanceMode::Pristine, 1 << 20);
}

fn check(criterion: &mut Criterion, name: &str, instances: InstanceMode, prepared_bytes: u64) {
    let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    let settings = SandboxSettings { workers: 1, instances, prepared_bytes, ..SandboxSettings::new(cache) };
    let sandbox = Sandbox::open(settings).unwrap();
    let language: Language = "python".parse().unwrap();
    let limits = sandbox.default_limits(&language).unwrap();
    let source = |text: &str| SourceText { language: language.clone(), text: text.into(), packages: Vec::new() };
    let mut group = criterion.benchmark_group(name);
    group.bench_function("nothing", |bencher| {
        bencher.iter(|| block_on(sandbox.compile(source(""), limits)).unwrap());
    });
    for (name, text) in [("add", ADD), ("ten lines", TEN_LINES)] {
        let invocation =
            Invocation::new(source(text), Entry::Function("f".into()), JsonText::parse("[12, 30]").unwrap(), limits);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let outcome = block_on(sandbox.invoke(invocation.clone())).unwrap();
                assert!(outcome.value().is_some(), "{outcome:?}");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
