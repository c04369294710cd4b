//! One call, from the source to its outcome: `cargo run --release -p greensand-sandbox --example call`.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;

use futures::executor::block_on;
use greensand_sandbox::{Sandbox, SandboxSettings};
use greensand_types::{Entry, FunctionRuntime, Invocation, JsonText, Language, SourceText};

const SOURCE: &str = "
def add(a, b):
    print('adding')
    return a + b
";

fn main() -> Result<(), Box<dyn Error>> {
    let cache = std::env::temp_dir().join("greensand-example-cache");
    let sandbox = Sandbox::open(SandboxSettings::new(cache))?;
    let language: Language = "python".parse()?;
    sandbox.prepare_image(&language, &|progress| {
        println!("{:3.0} % {}", 100.0 * progress.fraction, progress.stage.as_str());
    })?;
    let limits = sandbox.default_limits(&language).ok_or("the language is not on offer")?;
    let outcome = block_on(sandbox.invoke(Invocation::new(
        SourceText { language, text: SOURCE.into(), packages: Vec::new() },
        Entry::Function("add".into()),
        JsonText::parse(r#"{"a": 2, "b": 3}"#)?,
        limits,
    )))?;
    println!("{}: {:?}", outcome.status(), outcome.value());
    println!("stdout: {:?}", outcome.stdout.text);
    println!("usage: {:?}", outcome.usage);
    Ok(())
}
