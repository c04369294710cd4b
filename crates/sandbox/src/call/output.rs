//! What a guest writes: kept up to a limit.

use greensand_types::KeptText;

/// One output stream of a call.
#[derive(Debug)]
pub(crate) struct KeptOutput {
    bytes: Vec<u8>,
    limit: usize,
    is_truncated: bool,
}

impl KeptOutput {
    /// Keeps up to `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), limit: usize::try_from(limit).unwrap_or(usize::MAX), is_truncated: false }
    }

    /// Appends what there is room for, and says whether that was everything.
    #[must_use]
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_truncated |= bytes.len() > room;
        !self.is_truncated
    }

    /// Returns how many bytes are kept.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns what was kept, as it was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns what was kept, as text. A character that the limit cut in two is left out.
    pub(crate) fn into_text(mut self) -> KeptText {
        if self.is_truncated {
            self.bytes.truncate(whole_characters(&self.bytes));
        }
        let text = String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        KeptText { text, is_truncated: self.is_truncated }
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
