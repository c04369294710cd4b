//! The workers: one thread per call that runs at once, a bounded queue that is fair between tenants, and an
//! asynchronous door.
//!
//! Calls are bound by the processor, so they run on threads of their own with stacks large enough for deep guests;
//! whoever asks only waits. [`FairQueue`](queue::FairQueue) decides whose turn it is: tenants take turns, call by call,
//! however many calls each has waiting. A tenant whose own room in the queue is full waits at its own door; no tenant
//! waits at the door of another. [`WorkerPool`] runs the threads. A future that is dropped abandons its work: waiting
//! work leaves the queue at once, running work sees the flag of its [`Cancellation`].

mod cancellation;
mod pool;
mod queue;
mod sleeper;

pub(crate) use cancellation::Cancellation;
pub(crate) use pool::{WorkError, WorkerPool, panic_message};
pub(crate) use queue::QueueBounds;
pub(crate) use sleeper::wait_for;
