//! How many requests may be under way at an endpoint, and when none should be sent any more.
//!
//! - `concurrency` is the adaptive limit: values in, values out, the time as an argument;
//! - `breaker` keeps the errors that every further request would end in;
//! - `gate` is the thin asynchronous shell around both: requests enter in the order in which they come, and whoever waits
//!   may be dropped. Every backend of the same endpoint and key shares one [`Gate`], whichever role it is for.
//!
//! A wait in here is nobody's fault: it does not count to the deadline of a request.

mod breaker;
mod concurrency;
mod gate;

pub(crate) use concurrency::Observed;
pub use concurrency::{LimitCause, LimitChange};
pub use gate::ConcurrencyReport;
pub(crate) use gate::{Gate, Turned};
