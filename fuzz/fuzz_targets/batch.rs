//! The batch reader: any bytes are lines, and every line that is not blank has one answer, in order, which is JSON.

#![no_main]

use std::io::Cursor;

use futures::executor::block_on;
use greensand_app::Interrupt;
use greensand_app::batch::{BatchSettings, run_batch};
use greensand_types::{
    BoxFuture, CallEnding, CallOutcome, DescribeOutcome, FunctionRuntime, HostFault, Invocation, JsonText, Language,
    Limits, SourceText,
};
use libfuzzer_sys::fuzz_target;

/// Returns the arguments of each call.
struct Echo;

impl FunctionRuntime for Echo {
    fn invoke(&self, invocation: Invocation) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        let outcome = CallOutcome { ending: CallEnding::Returned(invocation.arguments), ..CallOutcome::invalid("") };
        Box::pin(std::future::ready(Ok(outcome)))
    }

    fn compile(&self, _: SourceText, _: Limits) -> BoxFuture<'_, Result<CallOutcome, HostFault>> {
        Box::pin(std::future::ready(Ok(CallOutcome::invalid("nothing compiles"))))
    }

    fn describe(&self, _: SourceText, _: String, _: Limits) -> BoxFuture<'_, Result<DescribeOutcome, HostFault>> {
        Box::pin(std::future::ready(Ok(DescribeOutcome::Failed(CallOutcome::invalid("nothing is described")))))
    }

    fn default_limits(&self, language: &Language) -> Option<Limits> {
        (language.as_str() != "none").then_some(Limits::DEFAULT)
    }
}

fuzz_target!(|input: &[u8]| {
    let mut output = Vec::new();
    let lines = Cursor::new(input.to_vec());
    let summary = block_on(run_batch(lines, &mut output, &Echo, &BatchSettings::default(), &Interrupt::new())).expect("a batch ends");
    let output = String::from_utf8(output).expect("answers are text");
    assert_eq!(output.lines().count() as u64, summary.answers);
    for answer in output.lines() {
        let answer = JsonText::parse(answer).expect("an answer is JSON");
        assert!(answer.get().starts_with("{\"id\":"), "{}", answer.get());
    }
    let most = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
    assert!(summary.answers <= most, "{} answers to {most} lines", summary.answers);
});
