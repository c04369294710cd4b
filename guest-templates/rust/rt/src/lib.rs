//! What a Rust function finds in its sandbox, beside the standard library and `serde_json`.
//!
//! ```ignore
//! pub fn total(prices: Vec<f64>) -> Result<f64, greensand::CallError> {
//!     greensand::call("round_to_cents", (prices.iter().sum::<f64>(),))
//! }
//! ```
//!
//! [`call`] calls a function that was granted to this one, [`read_file`] and [`file_names`] read the input files that
//! were. What a function may take and return is what has [`FromJson`] and [`ToJson`]. Everything in [`rt`] belongs to
//! the code that is written around a function.

mod fault;
mod from_json;
mod host;
mod json_key;
mod reader;
pub mod rt;
mod to_json;
mod writer;

pub use fault::{Fault, Mismatch};
pub use from_json::FromJson;
pub use host::{CallError, call, file_names, read_file};
pub use json_key::JsonKey;
pub use reader::Reader;
pub use serde_json;
pub use to_json::ToJson;
pub use writer::Writer;
