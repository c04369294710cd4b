use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use greensand_app::Event;
use greensand_app::events::EventLine;

use crate::terminal::Terminal;
use crate::text;

/// Writes the events of work to standard output, a line of JSON for each.
///
/// A reader who goes away does not stop the work: what it does is kept in its run folder, and there is nobody left to tell.
pub(crate) struct JsonEvents {
    terminal: Terminal,
    /// The last line of a stage of an image, which progress within the stage repeats.
    stage: Mutex<Option<EventLine>>,
}

impl JsonEvents {
    /// Writes the first line.
    pub(crate) fn open(command: &str, terminal: &Terminal) -> Self {
        let events = Self { terminal: *terminal, stage: Mutex::default() };
        let _ = write_line(&EventLine::opened(command), terminal);
        events
    }

    /// Writes the line of an event.
    pub(crate) fn event(&self, event: &Event<'_>) {
        let line = EventLine::from(event);
        if matches!(line, EventLine::PreparingImage { .. }) {
            let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
            if stage.as_ref() == Some(&line) {
                return;
            }
            *stage = Some(line.clone());
        }
        let _ = write_line(&line, &self.terminal);
    }
}

/// Writes a line, whole, as soon as there is one.
pub(crate) fn write_line(line: &EventLine, terminal: &Terminal) -> io::Result<()> {
    let json = serde_json::to_string(line)?;
    let json = if terminal.is_out_terminal() { text::json(&json) } else { json.into() };
    let mut out = io::stdout().lock();
    out.write_all(format!("{json}\n").as_bytes())?;
    out.flush()
}
