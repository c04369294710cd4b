use tokio::sync::watch;

/// The wish that work stops soon, such as the first Ctrl-C. Clones share it.
///
/// Work that sees it abandons what is under way, writes down what it has, and returns.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Sender<bool>);

impl Interrupt {
    /// Makes one that is not raised.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Asks for the stop. More than once is the same as once.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Says whether the stop is asked for.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the stop is asked for; forever, if it never is.
    pub async fn raised(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so that the wait cannot fail.
        let _ = receiver.wait_for(|is_raised| *is_raised).await;
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Self::new()
    }
}
