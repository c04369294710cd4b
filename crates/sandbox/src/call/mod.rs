//! One call on clean guests.
//!
//! [`Executor::run`] finds or makes the compiled form of the source, writes a request into a [`guest::Guest`], enters it,
//! and reads the reply, as `guest-templates/ABI.md` says. While
//! the guest runs, a [`CallState`] holds everything that it may use up (`clock`, `memory`, `output`) or ask for
//! (`host`, `random`); what stops a call is a [`Stop`] in that state, set by the host. `outcome` turns flags and
//! reply into the class of the ending; no text of the guest takes part in that.

mod clock;
mod compile;
mod granted;
mod guest;
mod host;
mod memory;
mod nesting;
mod outcome;
mod output;
mod random;
mod reach;
mod run;
mod state;
mod text;
mod wait;
mod wire;

pub(crate) use compile::compile_file;
pub(crate) use granted::Answer;
pub(crate) use guest::{Guest, guarded_store};
pub(crate) use host::{PIECE, link, link_contract, random, with_range};
pub(crate) use memory::{COMPONENT_MEMORIES, COMPONENT_PARTS};
pub(crate) use nesting::Nesting;
pub(crate) use outcome::{Finish, LONGEST_MESSAGE, LONGEST_TRACE, ending};
pub(crate) use output::KeptOutput;
pub(crate) use run::{Executor, GuestCall, outcome, unfinished};
pub(crate) use state::{CallState, Stop, Stream};
pub(crate) use text::readable;
pub(crate) use wire::{CONTRACT, Form, Reply, ReplyKind, Request, Verb};
