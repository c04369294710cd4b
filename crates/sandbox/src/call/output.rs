//! What a guest writes: kept up to a limit.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greensand_types::KeptText;

/// One output stream of a call. Its shares are the same stream.
#[derive(Debug)]
pub(crate) struct KeptOutput(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    is_truncated: bool,
}

impl KeptOutput {
    /// Keeps up to `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self(Arc::new(Mutex::new(Kept { bytes: Vec::new(), limit, is_truncated: false })))
    }

    /// Returns another handle of the same stream, for what must own one.
    pub(crate) fn share(&self) -> Self {
        Self(self.0.clone())
    }

    /// Appends what there is room for, and says whether that was everything.
    #[must_use]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        let mut kept = self.kept();
        let room = kept.limit - kept.bytes.len();
        kept.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        kept.is_truncated |= bytes.len() > room;
        !kept.is_truncated
    }

    /// Returns how many bytes are kept.
    pub(crate) fn len(&self) -> u64 {
        self.kept().bytes.len() as u64
    }

    /// Says whether more was written than is kept.
    pub(crate) fn is_truncated(&self) -> bool {
        self.kept().is_truncated
    }

    /// Returns what was kept, as it was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        mem::take(&mut self.kept().bytes)
    }

    /// Returns what was kept, as text. A character that the limit cut in two is left out.
    pub(crate) fn into_text(self) -> KeptText {
        let mut kept = self.kept();
        let (mut bytes, is_truncated) = (mem::take(&mut kept.bytes), kept.is_truncated);
        if is_truncated {
            bytes.truncate(whole_characters(&bytes));
        }
        let text =
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        KeptText { text, is_truncated }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the length without a last character that is only begun.
fn whole_characters(bytes: &[u8]) -> usize {
    let last_three = bytes.iter().rev().take(3);
    for (index, byte) in last_three.enumerate() {
        let needs = match byte {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => break,
        };
        return if index + 1 < needs { bytes.len() - index - 1 } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: u64, writes: &[&[u8]], text: &str, is_truncated: bool) {
        let mut output = KeptOutput::new(limit);
        for bytes in writes {
            let _ = output.write(bytes);
        }
        assert_eq!(output.into_text(), KeptText { text: text.into(), is_truncated });
    }

    #[test]
    fn what_fits_is_kept_whole() {
        check(4, &[b"ab", b"cd"], "abcd", false);
        check(0, &[b""], "", false);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_said() {
        check(3, &[b"ab", b"cd"], "abc", true);
        check(3, &[b"abc", b"d", b"e"], "abc", true);
    }

    #[test]
    fn a_cut_character_is_left_out() {
        check(4, &["abc\u{20ac}".as_bytes()], "abc", true);
        check(5, &["abc\u{1f600}".as_bytes()], "abc", true);
        check(5, &["ab\u{20ac}d".as_bytes()], "ab\u{20ac}", true);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        check(9, &[b"a\xffb"], "a\u{fffd}b", false);
        check(3, &[b"\x80\x80\x80\x80"], "\u{fffd}\u{fffd}\u{fffd}", true);
    }
}
