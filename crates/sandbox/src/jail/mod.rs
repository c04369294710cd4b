//! Running a program of the user's machine on untrusted input, behind walls.
//!
//! [`Jail::run`] starts the *helper*: this very program, or a small one beside it, in a mode of its own
//! ([`crate::helper`]). The helper is two processes. The *guard* watches: it ends everything at the deadline, when its
//! host goes away, and when the program has ended and left others behind. The one *inside* gives up its rights and
//! then becomes the program: so that no code runs between `fork` and `exec`, and none of this needs to be unsafe.
//!
//! | wall | what stands behind it |
//! |---|---|
//! | landlock | every file but the ones named; writing outside of the work folder; connecting; signals |
//! | seccomp | sockets, signals, tracing, modes and times of files, shared memory, mounting, namespaces, keys, BPF, modules, leaving the process group (`system_calls`) |
//! | limits | address space, processor time, size of files, open files, processes, core dumps |
//! | environment | empty; standard input is empty; no other descriptor is open |
//! | deadline | wall clock; the whole process group is killed |
//!
//! The first two need a kernel that has them: [`JailStatus`] says whether it does. What the walls do not cover: that the
//! program uses the processor, that it may fill the disk (each file is bounded, their number is not) until its deadline, and
//! that it may see which paths exist.

mod command;
mod descriptors;
mod inside;
mod limits;
mod order;
mod reach;
mod run;
mod status;
mod system_calls;
mod version;

pub use command::{JailEnding, JailFault, JailReport, JailedCommand, Priority};
pub(crate) use inside::become_program;
pub(crate) use order::{FAILED_BEFORE_START, GuardOrder, InsideOrder, OUT_OF_TIME, ended_by_signal};
pub use run::Jail;
pub use status::{JailStatus, Wall};
