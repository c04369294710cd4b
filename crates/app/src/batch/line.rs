use std::io::{self, BufRead};

/// The longest line of a batch, in bytes; a longer one answers `invalid`.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// What one look at the input found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineRead {
    /// A line, without its end, is in the buffer.
    Line,
    /// A line was longer than allowed and was skipped.
    TooLong,
    /// There is no further line.
    End,
}

/// Reads one line into `buffer`, of which at most `most` bytes are ever kept.
pub(super) fn read_line(input: &mut impl BufRead, buffer: &mut Vec<u8>, most: usize) -> io::Result<LineRead> {
    buffer.clear();
    let mut is_too_long = false;
    let mut is_at_end = true;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            break;
        }
        is_at_end = false;
        let line_end = memchr::memchr(b'\n', available);
        let part = &available[..line_end.unwrap_or(available.len())];
        if buffer.len() + part.len() > most {
            is_too_long = true;
            buffer.clear();
        } else if !is_too_long {
            buffer.extend_from_slice(part);
        }
        let consumed = part.len() + usize::from(line_end.is_some());
        input.consume(consumed);
        if line_end.is_some() {
            break;
        }
    }
    Ok(match (is_at_end, is_too_long) {
        (true, _) => LineRead::End,
        (false, true) => LineRead::TooLong,
        (false, false) => LineRead::Line,
    })
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn check(input: &str, most: usize, expected: &[Option<&str>]) {
        for capacity in [1, 3, 4096] {
            let mut reader = BufReader::with_capacity(capacity, input.as_bytes());
            let (mut buffer, mut found) = (Vec::new(), Vec::new());
            loop {
                match read_line(&mut reader, &mut buffer, most).unwrap() {
                    LineRead::Line => found.push(Some(String::from_utf8(buffer.clone()).unwrap())),
                    LineRead::TooLong => found.push(None),
                    LineRead::End => break,
                }
                assert!(buffer.capacity() <= most.max(8) * 2, "the buffer grew to {}", buffer.capacity());
            }
            let found: Vec<_> = found.iter().map(Option::as_deref).collect();
            assert_eq!(found, expected, "with a buffer of {capacity}");
        }
    }

    #[test]
    fn lines_end_with_a_newline_or_the_input() {
        check("", 10, &[]);
        check("a\nb", 10, &[Some("a"), Some("b")]);
        check("a\n\nb\n", 10, &[Some("a"), Some(""), Some("b")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_without_being_kept() {
        let long = "x".repeat(100_000);
        check(&format!("{long}\nok\n{long}"), 10, &[None, Some("ok"), None]);
        check("1234567890\n12345678901\n", 10, &[Some("1234567890"), None]);
    }
}
