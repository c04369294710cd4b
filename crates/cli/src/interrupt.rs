//! Ctrl-C: the first asks the work to stop, the second stops the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{process, thread};

use greensand_app::Interrupt;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// The exit code of a process that was stopped at once: 128 and the number of the signal.
const STOPPED_AT_ONCE: i32 = 130;

/// How long work that was asked to stop may take to write down what there is.
const LONGEST_STOP: Duration = Duration::from_secs(5);

/// Makes Ctrl-C, and a polite request to end, raise an interrupt. The second one ends the process.
///
/// Commands that write nothing that must stay readable do not call it: a signal ends them.
pub(crate) fn on_signals(terminal: Terminal) -> Result<Interrupt, Failure> {
    let interrupt = Interrupt::new();
    let raised = interrupt.clone();
    let was_asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if was_asked.swap(true, Ordering::SeqCst) {
            process::exit(STOPPED_AT_ONCE);
        }
        terminal.say(format_args!("stopping, and writing down what there is; press Ctrl-C again to stop at once"));
        raised.raise();
    })
    .map_err(|error| Failure::bug(format!("cannot listen for signals: {error}")))?;
    Ok(interrupt)
}

/// Ends the process where work that was asked to stop does not: its reader may have stopped reading.
pub(crate) fn end_soon_after(interrupt: &Interrupt, terminal: Terminal) {
    let interrupt = interrupt.clone();
    thread::spawn(move || {
        futures::executor::block_on(interrupt.raised());
        // Work that ends in time ends the process, and this thread with it.
        thread::sleep(LONGEST_STOP);
        terminal.say(format_args!(
            "stopped: it did not come to an end within 5 seconds, perhaps because nobody reads the answers"
        ));
        process::exit(STOPPED_AT_ONCE);
    });
}
