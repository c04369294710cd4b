//! Code blocks between fences in a reply.

/// A closed or last block of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FencedBlock {
    /// The first word after the opening fence; may be empty.
    pub(crate) info: String,
    /// What stands between the fences, without the indentation of the opening one.
    pub(crate) code: String,
}

/// Returns the blocks of a reply in order. A block without its closing fence ends with the reply.
pub(crate) fn fenced_blocks(text: &str) -> Vec<FencedBlock> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = Fence::open(line) else { continue };
        let mut code = String::new();
        for line in lines.by_ref() {
            if fence.is_closed_by(line) {
                break;
            }
            code.push_str(without_indentation(line, fence.indentation));
            code.push('\n');
        }
        blocks.push(FencedBlock { info: fence.info, code });
    }
    blocks
}

struct Fence {
    indentation: usize,
    mark: char,
    length: usize,
    info: String,
}

impl Fence {
    fn open(line: &str) -> Option<Self> {
        let content = line.trim_start();
        let mark = content.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = content.chars().take_while(|c| *c == mark).count();
        let rest = content[length..].trim();
        let is_inline_code = mark == '`' && rest.contains('`');
        if length < 3 || is_inline_code {
            return None;
        }
        let rest = rest.trim_start_matches(['{', '.', ' ']);
        let info = rest.split(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ':')).next().unwrap_or_default();
        Some(Self { indentation: line.len() - content.len(), mark, length, info: info.to_owned() })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let line = line.trim();
        line.len() >= self.length && line.chars().all(|c| c == self.mark)
    }
}

fn without_indentation(line: &str, indentation: usize) -> &str {
    let blank = line.bytes().take(indentation).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &line[blank..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = fenced_blocks(text);
        let found: Vec<(&str, &str)> = found.iter().map(|block| (block.info.as_str(), block.code.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn blocks_are_found_with_their_info_string() {
        check("a\n```python\nx = 1\n```\nb\n~~~ js title=x\ny\n~~~", &[("python", "x = 1\n"), ("js", "y\n")]);
        check("```{python}\n1\n```", &[("python", "1\n")]);
        check("```\n1\n```", &[("", "1\n")]);
    }

    #[test]
    fn a_longer_fence_may_hold_a_shorter_one() {
        check("````python\n```\nx\n```\n````", &[("python", "```\nx\n```\n")]);
    }

    #[test]
    fn the_indentation_of_a_list_item_is_taken_off() {
        check("1. so\n   ```python\n   if x:\n       y\n z\n   ```", &[("python", "if x:\n    y\nz\n")]);
    }

    #[test]
    fn inline_code_is_no_block() {
        check("```python x``` and `y`", &[]);
        check("``python\nx\n``", &[]);
    }

    #[test]
    fn a_block_without_its_end_ends_with_the_reply() {
        check("```python\nx", &[("python", "x\n")]);
        check("```python", &[("python", "")]);
    }
}
