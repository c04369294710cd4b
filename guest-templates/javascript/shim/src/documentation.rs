//! What a source says of one of its functions: the first line of the comment before it.

/// The first line of the comment that stands before the definition of `name`, or nothing.
pub fn of(source: &str, name: &str) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let defining = lines.iter().position(|line| defines(line, name));
    let Some(at) = defining else { return String::new() };
    first_line(&lines[..at])
}

/// Whether a line begins the definition of a name at the top level.
fn defines(line: &str, name: &str) -> bool {
    if line.starts_with(char::is_whitespace) {
        return false;
    }
    let mut rest = line;
    let mut is_default = false;
    for word in ["export", "default", "async", "function", "const", "let", "var"] {
        if let Some(after) = rest.strip_prefix(word)
            && after.starts_with(|next: char| !next.is_alphanumeric() && next != '_' && next != '$')
        {
            is_default |= word == "default";
            rest = after.trim_start().trim_start_matches('*').trim_start();
        }
    }
    if is_default && name == "default" {
        return true;
    }
    let follows = |after: &str| !after.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '$');
    rest.len() < line.len() && rest.strip_prefix(name).is_some_and(follows) && !name.is_empty()
}

/// The first line of the comment that ends these lines.
fn first_line(before: &[&str]) -> String {
    let Some(last) = before.last().map(|line| line.trim()) else { return String::new() };
    let words = |line: &str| line.trim().trim_start_matches(['/', '*', ' ']).trim_end_matches("*/").trim().to_owned();
    if last.starts_with("//") {
        let start = before.iter().rposition(|line| !line.trim().starts_with("//")).map_or(0, |at| at + 1);
        return words(before[start]);
    }
    if !last.ends_with("*/") {
        return String::new();
    }
    let Some(start) = before.iter().rposition(|line| line.trim_start().starts_with("/*")) else { return String::new() };
    before[start..].iter().map(|line| words(line)).find(|line| !line.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_before_the_entry_is_its_documentation() {
        let cases = [
            ("/**\n * Adds two numbers.\n * @param {number} a\n */\nfunction f(a, b) {}", "Adds two numbers."),
            ("const x = 1;\n// Doubles.\n// And more.\nexport const f = (x) => 2 * x;", "Doubles."),
            ("/* One line. */\nexport default async function f() {}", "One line."),
            ("/** Counts. */\nasync function* f() {}", "Counts."),
            ("// of g\nfunction g() {}\nfunction f() {}", ""),
            ("// of ff\nfunction ff() {}", ""),
            ("function f() {}", ""),
            ("", ""),
        ];
        for (source, expected) in cases {
            assert_eq!(of(source, "f"), expected, "{source}");
        }
    }

    #[test]
    fn an_anonymous_default_export_has_documentation_too() {
        assert_eq!(of("// Answers.\nexport default () => 42;", "default"), "Answers.");
    }
}
