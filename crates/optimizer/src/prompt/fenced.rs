/// Puts a text between fences that are longer than any fence in it.
pub(super) fn fenced(label: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{label}\n{text}{end}{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_close_its_fence() {
        assert_eq!(fenced("py", "a"), "```py\na\n```\n");
        assert_eq!(fenced("", "a\n```\nb\n"), "````\na\n```\nb\n````\n");
    }
}
