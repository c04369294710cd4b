//! Sandboxes that can compile: with a helper, and with the compilers that this machine has.

use std::env;
use std::path::PathBuf;

use greensand_sandbox::{GuestTemplate, HelperProgram, Sandbox, SandboxSettings, ToolchainStatus};

/// Adds a helper and the folders of programs. `helper` is `env!("CARGO_BIN_EXE_helper")`, which only a suite knows.
pub fn compiling(helper: &str, settings: SandboxSettings) -> SandboxSettings {
    let path = env::var_os("PATH").unwrap_or_default();
    let helper = HelperProgram { program: PathBuf::from(helper), arguments: Vec::new() };
    SandboxSettings { helper: Some(helper), tool_folders: env::split_paths(&path).collect(), ..settings }
}

/// Says why a language cannot be run here, if it cannot: its compiler or a wall of the jail is missing.
pub fn missing(sandbox: &Sandbox, template: &GuestTemplate) -> Option<String> {
    let status = sandbox.toolchain_status(&template.name.parse().ok()?);
    let wall = greensand_sandbox::jail::JailStatus::of_this_machine().missing().map(|wall| wall.name.to_owned());
    match status {
        ToolchainStatus::NotNeeded => None,
        ToolchainStatus::Found(_) => wall,
        ToolchainStatus::Missing { what, mend } => Some(format!("{what}; {mend}")),
    }
}
