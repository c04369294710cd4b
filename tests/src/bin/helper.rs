//! The helper of the sandboxes that the suites open.

use std::process::ExitCode;

fn main() -> ExitCode {
    greensand_sandbox::helper::main(std::env::args_os().skip(1))
}
