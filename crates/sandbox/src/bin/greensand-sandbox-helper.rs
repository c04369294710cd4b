//! The helper of the sandbox as a program of its own, for tests and for those who embed the crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    greensand_sandbox::helper::main(std::env::args_os().skip(1))
}
