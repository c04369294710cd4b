//! Runs many calls from a stream of JSON lines, for benchmarks, rewards and evaluation.
//!
//! One line in is one call; one line out is its answer, in the order of the input unless [`AnswerOrder`] says otherwise. A
//! line that is no request answers `invalid` and the rest goes on. What is read ahead is bounded by bytes, not by lines,
//! so that neither a slow call nor a large one makes memory grow; see [`BatchSettings`]. So is what waits to be looked at
//! (two lines of the greatest length), and what is kept of a line that is refused (its id and a short message).
//!
//! [`run_batch`] needs nothing but a [`FunctionRuntime`](greensand_types::FunctionRuntime): what the calls run in, and how
//! many workers it has, is decided by whoever opened it. The limits that a line (or `call --limit`) may set stand in one
//! table, [`LIMIT_KEYS`].

mod answer;
mod limits;
mod line;
mod request;
mod run;

pub use answer::outcome_json;
pub use limits::{LIMIT_KEYS, LimitKey, LimitSettingError, set_limit};
pub use line::MAX_LINE_BYTES;
pub use run::{AnswerOrder, BatchError, BatchSettings, BatchSummary, run_batch};
