//! Where generated code comes from: positions in the source that the function's author wrote.
//!
//! A table is a run of entries in the order of the generated code, as four variable-length numbers each: lines further
//! in the generated code, its column, lines further in the source (zigzag), its column. All are counted from 0. An
//! empty table says that the code is the source.

/// One place in generated code and where it comes from; lines and columns count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub line: u32,
    pub column: u32,
    pub source_line: u32,
    pub source_column: u32,
}

/// Writes a table of entries that are in order.
pub fn table(entries: impl Iterator<Item = Entry>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut line, mut source_line) = (0, 0);
    for entry in entries {
        push(&mut out, entry.line.saturating_sub(line));
        push(&mut out, entry.column);
        let further = entry.source_line.wrapping_sub(source_line) as i32;
        push(&mut out, (further << 1 ^ further >> 31) as u32);
        push(&mut out, entry.source_column);
        (line, source_line) = (entry.line, entry.source_line);
    }
    out
}

/// The place in the source of a place in the code, both counted from 1.
pub fn original(table: &[u8], line: u32, column: u32) -> (u32, u32) {
    let (wanted_line, wanted_column) = (line.saturating_sub(1), column.saturating_sub(1));
    let mut best = None;
    for entry in entries(table) {
        if (entry.line, entry.column) > (wanted_line, wanted_column) {
            // Nothing of this line stands before the place: the first thing on it is the nearest.
            if entry.line == wanted_line && best.is_none_or(|best: Entry| best.line < wanted_line) {
                best = Some(entry);
            }
            break;
        }
        best = Some(entry);
    }
    match best {
        Some(entry) => (entry.source_line + 1, entry.source_column + 1),
        None => (line, column),
    }
}

fn entries(mut table: &[u8]) -> impl Iterator<Item = Entry> {
    let (mut line, mut source_line) = (0_u32, 0_u32);
    std::iter::from_fn(move || {
        line = line.wrapping_add(pull(&mut table)?);
        let column = pull(&mut table)?;
        let zigzag = pull(&mut table)?;
        source_line = source_line.wrapping_add((zigzag >> 1) ^ (zigzag & 1).wrapping_neg());
        Some(Entry { line, column, source_line, source_column: pull(&mut table)? })
    })
}

fn push(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn pull(table: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    for at in 0..5 {
        let (byte, rest) = table.split_first()?;
        *table = rest;
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let entry = |line, column, source_line, source_column| Entry { line, column, source_line, source_column };
        table([entry(0, 0, 5, 2), entry(0, 9, 5, 30), entry(2, 4, 1, 0), entry(3, 0, 900, 300)].into_iter())
    }

    #[test]
    fn a_place_is_found_by_the_nearest_entry_before_it() {
        assert_eq!(original(&sample(), 1, 1), (6, 3));
        assert_eq!(original(&sample(), 1, 12), (6, 31));
        assert_eq!(original(&sample(), 4, 100), (901, 301));
    }

    #[test]
    fn the_first_entry_of_a_line_stands_for_what_is_before_it() {
        assert_eq!(original(&sample(), 3, 1), (2, 1));
    }

    #[test]
    fn an_empty_or_broken_table_changes_nothing() {
        assert_eq!(original(&[], 3, 4), (3, 4));
        assert_eq!(original(&[0xff; 7], 3, 4), (3, 4));
    }
}
