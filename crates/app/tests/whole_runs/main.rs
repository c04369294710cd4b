//! Whole runs: a project folder, scripted models, a runtime that is a table, and what is left on the disk.
#![expect(clippy::unwrap_used, reason = "in a test, an unwrap is an assertion")]

mod compare;
mod credit;
mod damage;
mod evaluation;
mod formats;
mod noise;
mod page;
mod resuming;
mod schemas;
mod support;
mod training;
