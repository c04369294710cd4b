use greensand_types::Verdict;
use serde_json::{Value, json};

use super::super::tests;

fn score(options: Value, question: &str, target: &str, answer: &str) -> Verdict {
    tests::score("math", options, question, target, answer)
}

fn check_asked(question: &str, target: &str, right: &[&str], wrong: &[&str]) {
    for answer in right {
        let verdict = score(json!({}), question, target, &format!("\\boxed{{{answer}}}"));
        assert!(verdict.is_satisfied, "{answer} is {target}: {}", verdict.feedback);
    }
    for answer in wrong {
        let verdict = score(json!({}), question, target, &format!("\\boxed{{{answer}}}"));
        assert!(!verdict.is_satisfied, "{answer} is not {target}: {}", verdict.feedback);
    }
}

fn check(target: &str, right: &[&str], wrong: &[&str]) {
    check_asked("", target, right, wrong);
}

#[test]
fn spellings_of_a_fraction_agree() {
    check(
        "\\frac{1}{2}",
        &[
            "1/2",
            "0.5",
            ".5",
            "\\frac12",
            "\\dfrac{1}{2}",
            "\\tfrac 12",
            "2/4",
            "50\\%",
            "\\frac{1}2",
            "$\\frac{1}{2}$",
            "1 / 2",
        ],
        &["2", "1/3", "0.50001", "-1/2", "12", "\\frac{2}{1}", "0.2"],
    );
    check("-\\frac{3}{4}", &["\\frac{-3}{4}", "-0.75", "\\frac{3}{-4}", "- 3/4"], &["3/4", "-4/3"]);
    check("1\\frac{2}{3}", &["5/3", "1 2/3", "\\frac53", "1.\\overline{6}"], &["2/3", "1.6667", "12/3", "1.66"]);
}

#[test]
fn numbers_are_the_same_with_separators_and_never_the_same_with_other_digits() {
    check(
        "10{,}000",
        &["10000", "10,000", "10\\,000", "10^4", "1e4", "10\\!000"],
        &["1000", "10", "1,000,0", "100000", "1{,}0000"],
    );
    check("1234567", &["1,234,567", "1,\\!234,\\!567", "1234567."], &["1,234", "1234568"]);
    check("3", &["3.0", "+3", "3."], &["30", "-3", "3^2", "33", "13"]);
    check("123456789012345678901234567890", &["123456789012345678901234567890"], &["123456789012345678901234567891"]);
    check("2^{100}-2", &["1267650600228229401496703205374"], &["2^{100}", "1267650600228229401496703205375"]);
}

#[test]
fn radicals_are_compared_exactly() {
    check(
        "\\frac{\\sqrt{2}}{2}",
        &["\\frac{1}{\\sqrt2}", "\\sqrt{1/2}", "\\sqrt{\\frac{1}{2}}", "2^{-1/2}", "sqrt(2)/2", "√2/2"],
        &["\\sqrt2", "0.7071", "\\frac{\\sqrt{3}}{2}"],
    );
    check(
        "2\\sqrt3",
        &["\\sqrt{12}", "2\\cdot\\sqrt{3}", "2\\sqrt{3}", "\\frac{6}{\\sqrt{3}}"],
        &["3\\sqrt2", "\\sqrt{6}", "23"],
    );
    check("\\frac{\\sqrt[3]{4}}{6}", &["\\frac{4^{1/3}}{6}", "\\frac{2^{2/3}}{6}"], &["\\frac{\\sqrt{4}}{6}"]);
    check("1+\\sqrt{2}", &["\\sqrt{3+2\\sqrt{2}}", "\\sqrt2+1", "\\frac{1}{\\sqrt2-1}"], &["1-\\sqrt2", "2.41421"]);
    check(
        "\\frac{1 + \\sqrt{5}}{2}",
        &["\\frac{1}{2}+\\frac{\\sqrt5}{2}", "\\frac{\\sqrt{5}+1}{2}", "1.618033988749895"],
        &["1.618", "\\frac{1-\\sqrt5}{2}"],
    );
}

#[test]
fn percent_and_degree_mean_what_the_question_asks() {
    check("50\\%", &["50%", "0.5", "\\frac12"], &["50", "5\\%"]);
    check("50", &["50"], &["50\\%"]);
    check_asked("What percent of them is red?", "50", &["50\\%", "50"], &["5\\%"]);
    check_asked("What percent of them is red?", "50\\%", &["50", "0.5"], &["5"]);
    check("30^\\circ", &["30", "30^{\\circ}", "30\\text{ degrees}", "30°", "\\frac{\\pi}{6}"], &["31", "60^\\circ"]);
    check("\\frac{\\pi}{6}", &["\\pi/6", "\\frac{1}{6}\\pi", "30^\\circ"], &["30", "\\pi", "\\frac{\\pi}{3}"]);
}

#[test]
fn units_may_be_missing_but_may_not_differ() {
    check(
        "3\\text{ cm}",
        &["3", "3 cm", "3\\text{cm}", "3\\,\\mathrm{cm}"],
        &["3\\text{ m}", "4\\text{ cm}", "3\\text{ cm}^2", "\\$3"],
    );
    check("\\$5.20", &["5.2", "\\$5.2", "5.20\\text{ dollars}", "$5.20"], &["5.20\\text{ euros}", "52"]);
    check("12", &["12\\text{ square units}"], &["\\text{not } 12", "12\\%"]);
    let strict = |answer: &str| score(json!({"units": "required"}), "", "3\\text{ cm}", answer).is_satisfied;
    assert!(strict("\\boxed{3\\text{ cm}}") && !strict("\\boxed{3}"));
}

#[test]
fn points_keep_their_order_and_sets_do_not() {
    check(
        "(1,2)",
        &["(1, 2)", "\\left(1,2\\right)", "(x,y) = (1,2)", "(1.0,\\frac{4}{2})"],
        &["(2,1)", "(1,2]", "[1,2]", "1,2", "(1,2,3)", "\\{1,2\\}"],
    );
    check(
        "\\{4,5,7\\}",
        &["\\{7,4,5\\}", "\\left\\{ 4, 5, 7 \\right\\}", "4,5,7"],
        &["\\{4,5\\}", "\\{4,5,7,7\\}", "(4,5,7)"],
    );
    check(
        "-2,1",
        &["1,-2", "1, -2", "-2 \\text{ and } 1", "x=1 \\text{ or } x=-2", "\\{-2,1\\}"],
        &["2,1", "-2", "-2,-1"],
    );
    check("\\text{Softball, Kickball, Picnic}", &["Softball, Kickball, Picnic"], &["Kickball, Softball, Picnic"]);
    check("\\text{A, C}", &["C, A", "\\text{C,A}"], &["A", "A, B"]);
    check("3 \\pm 2\\sqrt{2}", &["3+2\\sqrt2, 3-2\\sqrt2", "3 \\mp \\sqrt{8}"], &["3+2\\sqrt2", "3 \\pm \\sqrt2"]);
}

#[test]
fn intervals_differ_by_their_brackets() {
    check(
        "(-\\infty, 2) \\cup [3,\\infty)",
        &["[3,\\infty)\\cup(-\\infty,2)", "(-inf,2) U [3,inf)", "x < 2 \\text{ or } x \\ge 3"],
        &["(-\\infty,2]\\cup[3,\\infty)", "(-\\infty,2)", "(\\infty,2)\\cup[3,\\infty)"],
    );
    check("[0,1)", &["0 \\le x < 1", "1 > x \\geq 0", "x \\in [0,1)"], &["[0,1]", "(0,1)", "0 \\le x \\le 1"]);
    check("(3,\\infty)", &["x > 3", "3 < x"], &["x \\ge 3", "x < 3", "[3,\\infty)"]);
}

#[test]
fn formulas_are_compared_as_polynomials() {
    check(
        "x^2+2x+1",
        &["1+2x+x^2", "(x+1)^2", "x^{2} + 2 x + 1", "x*x+2*x+1"],
        &["x^3+2x+1", "x^2+2x", "y^2+2y+1", "x^2-2x+1"],
    );
    check("x^2", &["x^{2}", "x\\cdot x"], &["x^3", "2x", "x2"]);
    check("\\frac{x+5}{6}", &["\\frac16(x+5)", "(x+5)/6", "\\frac{x}{6}+\\frac{5}{6}"], &["x+\\frac56", "x+5/6"]);
    check("30p \\sqrt{p}", &["30\\sqrt{p^3}", "30p^{3/2}"], &["30p\\sqrt{q}", "30p"]);
    check("\\sqrt{x^2}", &["|x|"], &["x"]);
    check("\\sin^2 t", &["(\\sin t)^2", "1-\\cos^2 t", "\\sin^{2}(t)"], &["\\sin t^2", "\\cos^2 t"]);
    check("2^{n-1}", &["\\frac{2^n}{2}"], &["2^n-1", "2^{n+1}"]);
    check("(x^4+16)(x^2+4)(x+2)(x-2)", &["x^8-256"], &["x^8+256"]);
}

#[test]
fn a_form_that_is_asked_for_must_be_given() {
    let factor = "Factor $x^2-4$ completely.";
    check_asked(factor, "(x-2)(x+2)", &["(x+2)(x-2)", "-(2-x)(x+2)"], &["x^2-4", "(x-1)(x+4)"]);
    check_asked("Expand the product.", "x^2-4", &["-4+x^2"], &["(x-2)(x+2)"]);
    check_asked("Factor it.", "3x(3x+1)", &["3x(1+3x)"], &["9x^2+3x"]);
}

#[test]
fn the_question_given_back_is_no_answer() {
    check_asked("Compute $\\sqrt{64}+3$.", "11", &["11"], &["\\sqrt{64}+3"]);
    check_asked("What is $2^{10}$?", "1024", &["1024"], &["2^{10}"]);
    check_asked("Is $3+2\\sqrt2$ larger?", "3+2\\sqrt2", &["3+2\\sqrt{2}", "2\\sqrt2+3"], &["3"]);
    check_asked("What is half of $\\frac{1}{2}+\\frac12$ as a decimal?", "0.5", &["\\frac{1}{2}"], &[]);
}

#[test]
fn equations_are_the_same_up_to_what_changes_nothing() {
    check("5", &["x=5", "x = 5", "x = 2+3 = 5", "f(x) = 5", "\\approx 5"], &["x=6", "x<5", "2x=5"]);
    check("x=5", &["5", "x=5.0"], &["y=5", "6", "2x=10"]);
    check("y = 2x - 13", &["2x-13", "y=-13+2x", "2x-y-13=0"], &["y=2x+13", "x = 2y-13"]);
    check("x + y + z = 0", &["z+y+x=0", "-x-y-z=0", "x+y=-z", "2x+2y+2z=0"], &["x+y+z=1", "x+y-z=0"]);
    check("s^2 \\le 8r^2", &["8r^2 \\ge s^2", "s^2-8r^2\\leq 0"], &["s^2 < 8r^2", "s^2 \\ge 8r^2"]);
    check("0.56 = 56\\%", &["0.56", "56\\%"], &["56", "0.57"]);
}

#[test]
fn matrices_are_compared_by_entry() {
    let target = "\\begin{pmatrix} 1/2 & 0 \\\\ -3 & \\sqrt{2} \\end{pmatrix}";
    check(
        target,
        &[
            "\\begin{bmatrix}0.5&0\\\\-3&\\sqrt2\\end{bmatrix}",
            "\\begin{pmatrix} \\frac12 & 0 \\\\ -3 & \\sqrt{2} \\\\ \\end{pmatrix}",
        ],
        &[
            "\\begin{pmatrix} 1/2 & 0 \\\\ 3 & \\sqrt{2} \\end{pmatrix}",
            "\\begin{pmatrix} 1/2 & 0 & -3 & \\sqrt{2} \\end{pmatrix}",
            "\\begin{pmatrix} 0 & 1/2 \\\\ -3 & \\sqrt{2} \\end{pmatrix}",
        ],
    );
}

#[test]
fn words_and_letters_are_answers_too() {
    check("\\text{Monday}", &["Monday", "monday", "\\text{monday}", "\\textbf{Monday}"], &["Tuesday", "\\text{Mon}"]);
    check("\\text{(A)}", &["A", "(A)", "\\text{A}", "\\textbf{(A)}", "\\mathrm{A}"], &["B", "a+b", "(A,B)"]);
    check("\\text{even}", &["even", "Even"], &["odd", "never", "\\text{neve}"]);
    check("\\mbox{four}", &["4", "four"], &["5", "for"]);
    check("CBAD", &["CBAD"], &["ABCD"]);
}

#[test]
fn numerals_keep_their_base() {
    check("24_{10}", &["24_{10}", "24_10"], &["24_5", "42_{10}", "24"]);
    check_asked("Write it in base 5.", "43_5", &["43", "43_{5}"], &["34", "43_6"]);
    check("\\text{A5}_{11}", &["\\text{A5}_{11}", "\\mathrm{A5}_{11}"], &["\\text{A6}_{11}"]);
}

#[test]
fn complex_numbers_are_values() {
    check("2+3i", &["3i+2", "2 + 3 i", "\\frac{13}{2-3i}"], &["2-3i", "3+2i", "5i"]);
    check("-i", &["i^3", "\\frac{1}{i}"], &["i", "-1"]);
    check("i\\sqrt{3}", &["\\sqrt{-3}", "\\sqrt3 i"], &["\\sqrt{3}"]);
}

#[test]
fn ratios_and_times_keep_their_parts() {
    check("3:4", &["3 : 4"], &["4:3", "3:40", "3,4"]);
    check(
        "8\\!:\\!34 \\text{ p.m.}",
        &["8:34 \\text{ p.m.}", "8:34\\text{ PM}", "8:34"],
        &["8:34 \\text{ a.m.}", "8:35"],
    );
}

#[test]
fn functions_are_compared_at_many_values_of_their_variables() {
    check("2\\sin x\\cos x", &["\\sin 2x", "\\sin(2x)"], &["2\\sin x", "\\sin x \\cos x", "2\\sin x\\cos y"]);
    check("\\frac{\\sqrt{3}}{3}", &["\\tan 30^\\circ"], &["\\tan 30"]);
    check("|x|", &["\\sqrt{x^2}"], &["\\sqrt{x|x|}", "x"]);
    check("3", &["\\log_{2} 8", "3!/2", "\\binom{3}{2}"], &["\\log_{2} 9"]);
}

#[test]
fn the_answer_is_found_in_prose() {
    for reply in [
        "So the total is $\\frac{1}{2}$.",
        "**Answer:** 1/2",
        "Therefore, the probability is 0.5.",
        "We get\n\\[\n  x = \\frac{1}{2}.\n\\]",
        "The answer is \\(\\tfrac12\\).",
        "x = 1/2",
        "1/2",
    ] {
        assert!(score(json!({}), "", "\\frac{1}{2}", reply).is_satisfied, "{reply}");
    }
    for reply in ["It is not 1/2", "1/2 or 1/3", "", "So 1/2 is wrong and it is 1/3"] {
        assert!(!score(json!({}), "", "\\frac{1}{2}", reply).is_satisfied, "{reply}");
    }
}

#[test]
fn feedback_says_what_was_found_and_never_the_target() {
    let verdict = score(json!({}), "", "(97531, 2)", "\\boxed{12}");
    assert_eq!(verdict.feedback, "the final answer `12` is a number, and a point or an open interval was expected");
    let verdict = score(json!({}), "", "97531", "\\boxed{12}");
    assert_eq!(verdict.feedback, "the final answer `12` is a number that is not the expected one");
}
