//! HumanEval: every canonical solution passes its own tests through `batch`.

mod common;

use std::io::Read;

use common::{repository, with_input};
use serde_json::{Value, json};

#[test]
fn every_canonical_solution_passes_its_tests() {
    let path = repository().join("../shared/data/humaneval.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: HumanEval is not at ../shared/data");
        return;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let problems: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(problems.len(), 164);

    let input: String = problems.iter().map(|problem| format!("{}\n", request(problem))).collect();
    let answers = with_input(&["batch"], input.as_bytes()).code(0).json_lines();
    let failed: Vec<_> = answers
        .iter()
        .filter(|answer| answer["status"] != "ok" || answer["value"] != true)
        .map(|answer| format!("{}: {} {}", answer["id"], answer["status"], answer["error"]))
        .collect();
    assert_eq!((answers.len(), failed.as_slice()), (164, [].as_slice()));
    let in_order = answers.iter().zip(&problems).all(|(answer, problem)| answer["id"] == problem["task_id"]);
    assert!(in_order, "answers are not in the order of the requests");
}

/// Checks that a wrong solution does not pass, so that the test above means something.
#[test]
fn a_wrong_solution_fails_its_tests() {
    let problem = json!({
        "task_id": "wrong",
        "prompt": "def one():\n",
        "canonical_solution": "    return 2\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
        "entry_point": "one",
    });
    let answers = with_input(&["batch"], format!("{}\n", request(&problem)).as_bytes()).code(0).json_lines();
    assert_eq!(answers[0]["status"], "error");
    assert!(answers[0]["error"]["message"].as_str().unwrap().starts_with("AssertionError"), "{}", answers[0]);
}

fn request(problem: &Value) -> Value {
    let text = |key: &str| problem[key].as_str().expect("a problem has its texts");
    let (prompt, solution, test, entry) =
        (text("prompt"), text("canonical_solution"), text("test"), text("entry_point"));
    json!({
        "id": problem["task_id"],
        "language": "python",
        "source": format!("{prompt}{solution}\n{test}\n\ndef run():\n    check({entry})\n    return True\n"),
        "entry": "run",
        "args": [],
        "limits": {"wall_ms": 60_000},
    })
}
