/// Solves `a x² + b x + c = 0` over the reals.
pub fn solve_quadratic(a: f64, b: f64, c: f64) -> Result<Vec<f64>, String> {
    if a == 0.0 {
        return Err("a must not be 0".into());
    }
    let d = b * b - 4.0 * a * c;
    Ok(match d {
        d if d < 0.0 => vec![],
        0.0 => vec![-b / (2.0 * a)],
        d => vec![(-b - d.sqrt()) / (2.0 * a), (-b + d.sqrt()) / (2.0 * a)],
    })
}
