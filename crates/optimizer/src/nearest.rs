/// Returns the known name that is nearest to what was written, to suggest it.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What was written comes from outside; a long text has no near name and would only cost time.
    let written: String = written.chars().take(80).collect();
    known.into_iter().min_by_key(|name| strsim::damerau_levenshtein(&written, name))
}
