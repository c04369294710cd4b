//! What runs: `call` and `batch` on the Python guest.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::{Answer, command, greensand, with_input};
use serde_json::json;

const SOURCE: &str = r#"
import sys

def gcd(a, b):
    while b:
        a, b = b, a % b
    return a

def power(n):
    print("powering")
    return 2 ** n

def spin():
    while True:
        pass

def fail(text):
    raise ValueError(text)

def paint():
    print("\x1b[2J\x9b")
    raise ValueError

def leave():
    sys.exit(0)

def chatter():
    print("x" * 10_000_000)

def lone_set():
    return {1}
"#;

fn call(arguments: &[&str]) -> Answer {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("functions.py");
    std::fs::write(&file, SOURCE).expect("a file can be written");
    let file = file.display().to_string();
    let all: Vec<&str> = ["call", &file].into_iter().chain(arguments.iter().copied()).collect();
    greensand(&all)
}

#[test]
fn call_writes_the_value_and_keeps_every_digit() {
    assert_eq!(call(&["--entry", "gcd", "--args", "[462, 1071]"]).code(0).stdout, "21\n");
    assert_eq!(call(&["gcd", "--args", "{\"a\": 462, \"b\": 1071}"]).code(0).stdout, "21\n");
    let answer = call(&["--entry", "power", "--args", "[100]"]).code(0).says("powering");
    assert_eq!(answer.stdout, "1267650600228229401496703205376\n");
}

#[test]
fn a_call_without_a_value_is_exit_code_1_and_says_why() {
    for (arguments, said) in [
        (&["--entry", "fail", "--args", "[\"\\u001b[2J\"]"][..], "error: function `fail`: ValueError: \\x1b[2J"),
        (&["--entry", "paint"], "\\u{1b}[2J\\u{9b}"),
        (&["--entry", "spin", "--limit", "wall_ms=100"], "hint: raise the limit with `--limit wall_ms=200`"),
        (&["--entry", "gcd", "--args", "[1]"], "invalid: function `gcd`"),
        (&["--entry", "missing"], "invalid: function `missing`"),
        (&["--entry", "leave"], "error: function `leave`"),
        (&["--entry", "lone_set"], "invalid: function `lone_set`"),
        (&["--entry", "chatter"], "output_limit: function `chatter`"),
    ] {
        let answer = call(arguments).code(1).says(said);
        assert_eq!(answer.stdout, "", "{arguments:?}");
        assert!(!answer.stderr.contains('\u{1b}'), "{:?}", answer.stderr);
    }
}

#[test]
fn call_as_json_holds_the_whole_outcome() {
    let outcome = call(&["--entry", "power", "--args", "[3]", "--json"]).code(0).json();
    assert_eq!(
        (&outcome["status"], &outcome["value"], &outcome["stdout"]),
        (&json!("ok"), &json!(8), &json!("powering\n"))
    );
    assert!(outcome.get("error").is_none() && outcome["usage"]["wall_ms"].as_f64().unwrap() > 0.0, "{outcome}");
    let outcome = call(&["--entry", "fail", "--args", "[\"no\"]", "--json"]).code(1).json();
    assert_eq!((&outcome["status"], &outcome["error"]["message"]), (&json!("error"), &json!("ValueError: no")));
    assert!(outcome.get("value").is_none(), "{outcome}");
}

#[test]
fn the_encoding_decides_what_becomes_of_a_set() {
    let outcome = call(&["--entry", "lone_set", "--encoding", "tagged"]).code(0).json();
    assert_eq!(outcome, json!({"$type": "set", "$items": [1]}));
}

#[test]
fn the_language_of_a_file_may_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("functions.txt");
    std::fs::write(&file, SOURCE).unwrap();
    let file = file.to_str().unwrap();
    greensand(&["call", file, "--entry", "gcd"]).code(2).says("name it with `--language L`; there are: `python`");
    greensand(&["call", file, "--entry", "gcd", "--language", "cobol"])
        .code(2)
        .says("no guest language is called `cobol`");
    assert_eq!(
        greensand(&["call", file, "--entry", "gcd", "--language", "python", "--args", "[4, 6]"]).code(0).stdout,
        "2\n"
    );
}

fn request(id: impl Into<serde_json::Value>, entry: &str, arguments: serde_json::Value) -> serde_json::Value {
    json!({"id": id.into(), "language": "python", "source": SOURCE, "entry": entry, "args": arguments})
}

fn batch(requests: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let input: String = requests.iter().map(|request| format!("{request}\n")).collect();
    with_input(&["batch", "--jobs", "2"], input.as_bytes()).code(0).json_lines()
}

#[test]
fn a_batch_answers_each_request_in_order_with_its_class() {
    let mut slow = request("slow", "spin", json!([]));
    slow["limits"] = json!({"wall_ms": 150, "deterministic": true, "seed": 7});
    let mut tagged = request("tagged", "lone_set", json!([]));
    tagged["encoding"] = json!("tagged");
    let mut greedy = request("greedy", "power", json!([100]));
    greedy["limits"] = json!({"wall_ms": 1_000_000});
    let answers = batch(&[
        slow,
        request("fast", "gcd", json!({"a": 4, "b": 6})),
        request("raised", "fail", json!(["no"])),
        request("left", "leave", json!([])),
        request("loud", "chatter", json!([])),
        request("set", "lone_set", json!([])),
        tagged,
        greedy,
        request("after", "gcd", json!([462, 1071])),
    ]);
    let found: Vec<_> =
        answers.iter().map(|answer| (answer["id"].as_str().unwrap(), answer["status"].as_str().unwrap())).collect();
    assert_eq!(
        found,
        [
            ("slow", "timeout"),
            ("fast", "ok"),
            ("raised", "error"),
            ("left", "error"),
            ("loud", "output_limit"),
            ("set", "invalid"),
            ("tagged", "ok"),
            ("greedy", "invalid"),
            ("after", "ok"),
        ]
    );
    assert_eq!(answers[1]["value"], 2);
    assert_eq!(answers[4]["truncated"], true);
    assert!(answers[7]["error"]["message"].as_str().unwrap().contains("from 1 to 600000, found 1000000"));
}

#[test]
fn a_value_is_written_with_the_digits_of_the_guest() {
    let input = format!("{}\n", request(1, "power", json!([200])));
    let stdout = with_input(&["batch"], input.as_bytes()).code(0).stdout;
    assert!(stdout.contains("\"value\":1606938044258990275541962092341162602522202993782792835301376,"), "{stdout}");
}

#[test]
fn arguments_may_be_nested_as_deeply_as_they_like() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let input = format!(
        "{{\"id\": 1, \"language\": \"python\", \"source\": \"def f(x): return 1\", \"entry\": \"f\", \"args\": [{deep}]}}\n{}\n",
        request(2, "gcd", json!([4, 6]))
    );
    let answers = with_input(&["batch"], input.as_bytes()).code(0).json_lines();
    assert_eq!((answers.len(), &answers[0]["id"], &answers[1]["value"]), (2, &json!(1), &json!(2)));
}

#[test]
fn the_same_request_has_the_same_answer() {
    let mut draw = json!({"language": "python", "entry": "f", "args": [], "seed": 3,
        "source": "import random\ndef f():\n    return random.random()"});
    let mut requests = Vec::new();
    for (id, seed) in [(0, 3), (1, 3), (2, 4)] {
        draw["id"] = json!(id);
        draw["seed"] = json!(seed);
        requests.push(draw.clone());
    }
    let answers = batch(&requests);
    assert_eq!(answers[0]["value"], answers[1]["value"]);
    assert_ne!(answers[0]["value"], answers[2]["value"]);
}

#[test]
fn a_program_may_talk_with_a_batch() {
    let mut child = command(&["batch", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut number = json!(1);
    for _ in 0..5 {
        // Each request needs the answer before it.
        writeln!(input, "{}", request("double", "gcd", json!([number, 0]))).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["value"], number);
        number = json!(answer["value"].as_u64().unwrap() * 2);
    }
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_function_reads_the_files_that_it_is_given() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let source = "def total(name):\n    with open(name) as file:\n        return sum(int(line) for line in file)\n";
    for (name, content) in [("total.py", source), ("numbers", "1\n20\n300\n")] {
        std::fs::write(path(name), content).expect("a file can be written");
    }
    let (total, numbers) = (path("total.py"), path("numbers"));
    let call = |file: &str| greensand(&["call", &total, "total", "--args", "[\"data/n.txt\"]", "--file", file]);
    assert_eq!(call(&format!("data/n.txt={numbers}")).code(0).stdout, "321\n");
    call(&format!("other={numbers}")).code(1);
    call(&format!("../n.txt={numbers}")).code(2).says("is not the name of an input file");
    call("data/n.txt").code(2).says("there is no path");
    call("data/n.txt=/nowhere").code(2).says("there is no file `/nowhere`");
    let request = json!({
        "id": 1, "language": "python", "source": source, "entry": "total", "args": ["n"], "tenant": "a",
        "files": {"n": {"base64": "NDIK"}},
    });
    let answer = with_input(&["batch"], format!("{request}\n").as_bytes()).code(0);
    assert_eq!(answer.json()["value"], 42, "{}", answer.stdout);
}

#[test]
fn an_interrupted_batch_stops_its_guests_and_says_what_was_done() {
    let mut child = command(&["batch", "--jobs", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("its input is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
    let request = |id: u32, entry: &str| json!({"id": id, "language": "python", "source": SOURCE, "entry": entry, "args": [], "limits": {"wall_ms": 600_000}});
    writeln!(stdin, "{}\n{}", request(1, "leave"), request(2, "spin")).expect("requests can be written");
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the first answer comes");
    let signal = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signal.expect("kill runs").success());
    let output = child.wait_with_output().expect("the binary ends");
    let stderr = String::from_utf8(output.stderr).expect("talk is text");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("stopped after 1 answers: 1 error"), "{stderr}");
    drop(stdin);
}
