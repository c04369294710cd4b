/// Adds two integers; one that overflows is an error.
pub fn add(a: i64, b: i64) -> i64 {
    a + b
}
