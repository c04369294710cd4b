//! The invariants of `crates/README.md`, checked on `cargo metadata` and on the source.
//!
//! Two kinds of check: *words* that the code of a crate must not hold, as rows of [`RULES`], and *arrows* between
//! packages, as functions over a graph. Both are functions of their input alone, so that a test can show each of them
//! a violation: a check that cannot fail keeps nothing.
//!
//! What counts as code: files in `src/` without comment lines and without `#[cfg(test)]` modules. Rules that hold for
//! every word of a file, comments included, say so.

#![expect(clippy::unwrap_used, reason = "a suite that cannot read the workspace has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use regex::Regex;
use serde_json::Value;

// Words -----------------------------------------------------------------------------------------------------------

/// How much of which files a rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// The code of Rust sources: no comment lines, no test modules.
    Code,
    /// Every word of Rust sources.
    Sources,
    /// Every word of every text file.
    Everything,
}

/// A word that must not occur, with a line that breaks the rule and one that does not.
struct Rule {
    name: &'static str,
    /// Path prefixes, from the root of the workspace.
    within: &'static [&'static str],
    /// Path prefixes where the word is allowed.
    except: &'static [&'static str],
    reads: Reads,
    pattern: &'static str,
    bad: &'static str,
    fine: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        name: "only `sandbox` names wasmtime",
        within: &["crates/", "guest-templates/src/"],
        except: &["crates/sandbox/"],
        reads: Reads::Code,
        pattern: r"\bwasmtime",
        bad: "use wasmtime::Engine;",
        fine: "// wasmtime maps it",
    },
    Rule {
        name: "only `llm` opens connections",
        within: &["crates/", "guest-templates/src/"],
        // It names the sockets of a guest, to refuse them.
        except: &["crates/llm/", "crates/sandbox/src/wasi/no_sockets.rs"],
        reads: Reads::Code,
        pattern: r"\b(std|tokio)::net\b|\b(Tcp|Unix)(Stream|Listener|Datagram)\b|\bUdpSocket\b",
        bad: "let stream = TcpStream::connect(address)?;",
        fine: "let stream = lines.into_stream();",
    },
    Rule {
        name: "only `app` chooses paths and reads the environment",
        within: &["crates/", "guest-templates/src/"],
        except: &["crates/app/"],
        reads: Reads::Code,
        pattern: r"\benv::vars?(_os)?\b|(?:^|[^.\w])(temp|home|current)_dir\(|\b(dirs|directories|etcetera|home)::",
        bad: "let cache = std::env::var_os(\"HOME\");",
        fine: "let cache = settings.cache_dir.join(name);",
    },
    Rule {
        name: "only `cli` prints",
        within: &["crates/", "guest-templates/src/"],
        // The helper is a program of its own, whose standard error its host reads.
        except: &["crates/cli/", "crates/sandbox/src/helper.rs", "crates/sandbox/src/module/compile.rs"],
        reads: Reads::Code,
        pattern: r"\b(e?print(ln)?|dbg)!|\bstd(out|err)\(\)",
        bad: "eprintln!(\"done\");",
        fine: "let stdout = outcome.stdout;",
    },
    Rule {
        name: "`types` does no I/O",
        within: &["crates/types/"],
        except: &[],
        reads: Reads::Code,
        pattern: r"\bstd::(fs|io|net|process|thread|env)\b|\btokio\b",
        bad: "use std::fs::File;",
        fine: "use std::fmt;",
    },
    Rule {
        name: "the host names no guest language",
        within: &["crates/sandbox/src/"],
        except: &[],
        reads: Reads::Sources,
        pattern: r"(?i)python|javascript|typescript|quickjs|\b(rustc|cargo|rust)\b",
        bad: "// Python needs more stack",
        fine: "// this guest needs more stack",
    },
    Rule {
        name: "unsafe code stands in named modules",
        within: &["crates/", "guest-templates/src/"],
        except: &[
            "crates/sandbox/src/image/native.rs",
            "crates/sandbox/src/slot/pages.rs",
            "crates/sandbox/src/jail/descriptors.rs",
        ],
        reads: Reads::Code,
        pattern: r"\bunsafe\s*(\{|fn\b|impl\b|extern\b|trait\b)|\bunsafe_code\b",
        bad: "let text = unsafe { read(pointer) };",
        fine: "// what would be unsafe",
    },
    Rule {
        name: "admission alone builds a `ValidatedFunction`",
        within: &["crates/"],
        except: &["crates/optimizer/src/admission/"],
        reads: Reads::Code,
        pattern: r"\b(ValidatedFunction|Self)::admitted\b",
        bad: "set.add(ValidatedFunction::admitted(draft))",
        fine: "pub fn admitted(draft: FunctionDraft) -> Self {",
    },
    Rule {
        name: "no file names a path of a machine",
        within: &[""],
        except: &[],
        reads: Reads::Everything,
        pattern: r"(?:^|[^\w.])/(?:root|work/[a-z.]+|home/[a-z]+|Users/[A-Za-z]+)/[a-z]",
        bad: concat!("let guest = \"/home", "/alice/guest.wasm\";"),
        fine: "let guest = \"/usr/share/guest.wasm\"; // ../work/x/y",
    },
    Rule {
        name: "no file names the host of a package registry",
        within: &[""],
        except: &[
            "Cargo.lock",
            "examples/module/component/Cargo.lock",
            "fuzz/Cargo.lock",
            "guest-templates/javascript/builder/Cargo.lock",
            "guest-templates/javascript/shim/Cargo.lock",
            "guest-templates/python/builder/Cargo.lock",
            "guest-templates/python/shim/Cargo.lock",
            "guest-templates/rust/builder/Cargo.lock",
            "guest-templates/rust/front/Cargo.lock",
            "guest-templates/rust/rt/Cargo.lock",
        ],
        reads: Reads::Everything,
        pattern: r"(?i)\bcrates[.]io\b|\bpypi[.]org|\bpythonhosted[.]|\bnpmjs[.]|\bproxy[.]golang[.]",
        bad: concat!("registry = \"https://PyPI", ".org/simple\""),
        fine: "see the package registry",
    },
];

/// Returns the places where a file breaks a rule, as `path:line: text`.
fn violations(rule: &Rule, path: &str, text: &str) -> Vec<String> {
    let starts_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    let is_source = path.ends_with(".rs") && path.contains("/src/");
    let applies = match rule.reads {
        Reads::Code => is_source && !path.ends_with("/tests.rs") && !path.contains("/tests/"),
        Reads::Sources => is_source,
        Reads::Everything => true,
    };
    if !applies || !starts_with(rule.within) || starts_with(rule.except) {
        return Vec::new();
    }
    let pattern = Regex::new(rule.pattern).expect("the pattern of a rule is a regular expression");
    let read = if rule.reads == Reads::Code { code_of(text) } else { text.to_owned() };
    let hits = read.lines().enumerate().filter(|(_, line)| pattern.is_match(line));
    hits.map(|(index, line)| format!("{path}:{}: {}", index + 1, line.trim())).collect()
}

/// Blanks comment lines and test modules, and keeps the line numbers.
fn code_of(text: &str) -> String {
    let (mut code, mut end_of_tests) = (String::new(), None);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let opens_tests = trimmed.starts_with("#[cfg(test)]")
            && lines.peek().is_some_and(|next| next.trim_start().starts_with("mod ") && next.ends_with('{'));
        if opens_tests && end_of_tests.is_none() {
            end_of_tests = Some(format!("{}}}", &line[..line.len() - trimmed.len()]));
        }
        if end_of_tests.is_none() && !trimmed.starts_with("//") {
            code.push_str(line);
        }
        if end_of_tests.as_deref() == Some(line) {
            end_of_tests = None;
        }
        code.push('\n');
    }
    code
}

fn check(rule_name: &str) {
    let rule = RULES.iter().find(|rule| rule.name == rule_name).expect("a test names a rule of the table");
    let broken: Vec<_> = files().iter().flat_map(|(path, text)| violations(rule, path, text)).collect();
    assert!(broken.is_empty(), "{}, and yet:\n{}", rule.name, broken.join("\n"));
}

#[test]
fn only_sandbox_names_the_engine() {
    check("only `sandbox` names wasmtime");
}

#[test]
fn only_llm_opens_connections() {
    check("only `llm` opens connections");
}

#[test]
fn only_app_chooses_paths_and_reads_the_environment() {
    check("only `app` chooses paths and reads the environment");
}

#[test]
fn only_cli_prints() {
    check("only `cli` prints");
}

#[test]
fn types_does_no_io() {
    check("`types` does no I/O");
}

#[test]
fn the_host_names_no_guest_language() {
    check("the host names no guest language");
}

#[test]
fn unsafe_code_stands_in_named_modules() {
    check("unsafe code stands in named modules");
}

#[test]
fn admission_alone_builds_validated_functions() {
    check("admission alone builds a `ValidatedFunction`");
}

#[test]
fn no_file_names_a_path_of_a_machine() {
    check("no file names a path of a machine");
}

#[test]
fn no_file_names_the_host_of_a_package_registry() {
    check("no file names the host of a package registry");
}

#[test]
fn every_rule_catches_its_bad_line_and_passes_its_fine_one() {
    for rule in RULES {
        let path = match rule.within[0] {
            "" | "crates/" => "crates/types/src/sample.rs".to_owned(),
            folder => format!("{}/src/sample.rs", folder.trim_end_matches('/').trim_end_matches("/src")),
        };
        assert_eq!(violations(rule, &path, rule.bad).len(), 1, "{}: {}", rule.name, rule.bad);
        assert_eq!(violations(rule, &path, rule.fine), Vec::<String>::new(), "{}", rule.name);
        for allowed in rule.except.iter().filter(|path| path.ends_with('/')) {
            assert!(violations(rule, &format!("{allowed}src/sample.rs"), rule.bad).is_empty(), "{}", rule.name);
        }
    }
}

#[test]
fn only_comments_and_test_modules_are_not_code() {
    let text = "// a\nfn b() {}\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\nfn d() {}\n#[cfg(test)]\nfn e() {}\n";
    assert_eq!(code_of(text), "\nfn b() {}\n\n\n\n\nfn d() {}\n#[cfg(test)]\nfn e() {}\n");
}

// Arrows ----------------------------------------------------------------------------------------------------------

/// The arrows that exist, all of them; besides, each crate may depend on `types`, and `tests` on everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("greensand-types", &[]),
    ("greensand-guest-templates", &[]),
    ("greensand-sandbox", &["greensand-guest-templates"]),
    ("greensand-llm", &[]),
    ("greensand-agent", &["greensand-llm"]),
    ("greensand-optimizer", &["greensand-llm"]),
    ("greensand-app", &["greensand-agent", "greensand-llm", "greensand-optimizer", "greensand-sandbox"]),
    ("greensand-cli", &["greensand-app"]),
];

/// Packages that run WebAssembly.
const ENGINES: &[&str] = &["wasmtime", "wasmtime-wizer", "wasmer", "wasmi"];

/// Packages that open connections.
const CONNECTING: &[&str] = &["async-openai", "hyper", "isahc", "reqwest", "tungstenite", "ureq"];

/// Packages that reach outside the process, or bring a runtime that does.
const IO: &[&str] = &["async-std", "mio", "rustix", "smol", "tempfile", "tokio"];

/// The packages that each package is built on, by name.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the arrows between our packages that [`ARROWS`] does not allow.
fn forbidden_arrows(graph: &Graph) -> Vec<String> {
    let is_ours = |name: &&String| name.starts_with("greensand-") && *name != "greensand-tests";
    let mut forbidden = Vec::new();
    for from in graph.keys().filter(is_ours) {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == from) else {
            forbidden.push(format!("`{from}` is not in the table of arrows"));
            continue;
        };
        for to in graph[from].iter().filter(|to| to.starts_with("greensand-")) {
            if to != "greensand-types" && !allowed.contains(&to.as_str()) {
                forbidden.push(format!("{from} -> {to}"));
            }
        }
    }
    forbidden
}

/// Returns the ways from `from` to any of `packages` that do not lead through `door`.
fn ways_around(graph: &Graph, from: &str, packages: &[&str], door: &str) -> Vec<String> {
    let (mut seen, mut open, mut ways) = (BTreeSet::new(), vec![vec![from.to_owned()]], Vec::new());
    while let Some(way) = open.pop() {
        let last = way.last().expect("a way has a start").clone();
        if last == door || !seen.insert(last.clone()) {
            continue;
        }
        if packages.contains(&last.as_str()) {
            ways.push(way.join(" -> "));
            continue;
        }
        for next in graph.get(&last).into_iter().flatten() {
            open.push([way.as_slice(), std::slice::from_ref(next)].concat());
        }
    }
    ways
}

fn check_door(packages: &[&str], door: &str) {
    let graph = graph();
    let behind = ways_around(&graph, door, packages, "");
    assert!(!behind.is_empty(), "`{door}` leads to none of {packages:?}: the list is out of date");
    for (member, _) in ARROWS {
        let ways = ways_around(&graph, member, packages, door);
        assert!(ways.is_empty(), "{packages:?} belong to `{door}` alone:\n{}", ways.join("\n"));
    }
}

#[test]
fn only_the_arrows_of_the_architecture_page_exist() {
    let forbidden = forbidden_arrows(&graph());
    assert!(forbidden.is_empty(), "{}", forbidden.join("\n"));
}

#[test]
fn only_sandbox_leads_to_an_engine() {
    check_door(ENGINES, "greensand-sandbox");
}

#[test]
fn only_llm_leads_to_packages_that_connect() {
    check_door(CONNECTING, "greensand-llm");
}

#[test]
fn types_leads_to_no_package_that_does_io() {
    let ways = ways_around(&graph(), "greensand-types", IO, "");
    assert!(ways.is_empty(), "{}", ways.join("\n"));
}

#[test]
fn a_wrong_arrow_is_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    let fine = graph(&[("greensand-app", "greensand-agent"), ("greensand-agent", "greensand-types")]);
    assert_eq!(forbidden_arrows(&fine), Vec::<String>::new());
    let wrong = graph(&[("greensand-agent", "greensand-sandbox"), ("greensand-types", "greensand-llm")]);
    assert_eq!(forbidden_arrows(&wrong), ["greensand-agent -> greensand-sandbox", "greensand-types -> greensand-llm"]);
    assert_eq!(forbidden_arrows(&graph(&[("greensand-new", "serde")])).len(), 1);

    let around = graph(&[("greensand-app", "a"), ("a", "b"), ("b", "hyper"), ("greensand-llm", "hyper")]);
    let way = ["greensand-app -> a -> b -> hyper"];
    assert_eq!(ways_around(&around, "greensand-app", CONNECTING, "greensand-llm"), way);
    let through = graph(&[("greensand-app", "greensand-llm"), ("greensand-llm", "hyper")]);
    assert!(ways_around(&through, "greensand-app", CONNECTING, "greensand-llm").is_empty());
}

// Folders ---------------------------------------------------------------------------------------------------------

#[test]
fn every_folder_that_a_newcomer_opens_has_a_readme() {
    let mut folders: Vec<_> =
        ["", "crates", "examples", "guest-templates", "tests"].map(|path| root().join(path)).into();
    folders.extend(subfolders("crates"));
    folders.extend(subfolders("examples"));
    folders.extend(subfolders("guest-templates").into_iter().filter(|folder| folder.join("template.toml").exists()));
    let missing: Vec<_> = folders.iter().filter(|folder| !folder.join("README.md").exists()).collect();
    assert!(missing.is_empty(), "no README.md in {missing:?}");
}

#[test]
fn the_architecture_page_lists_every_crate() {
    let page = fs::read_to_string(root().join("crates/README.md")).unwrap();
    for folder in subfolders("crates") {
        let name = folder.file_name().unwrap().to_string_lossy();
        assert!(page.contains(&format!("\n  {name}/ ")), "crates/README.md does not list `{name}/`");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut folders = subfolders("crates");
    folders.extend([root().join("tests"), root().join("guest-templates")]);
    for folder in folders {
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(inherits, Some(true), "{}", folder.display());
    }
}

/// Returns the promises of a page, as pairs of a file and a test in it: "`path.rs`: `test`, `test`".
fn kept_promises(page: &str) -> Vec<(String, String)> {
    let group = Regex::new(r"`([\w/.]+\.rs)`:((?:\s*`\w+`,?)+)").expect("a regular expression");
    let name = Regex::new(r"`(\w+)`").expect("a regular expression");
    let tests = |found: regex::Captures<'_>| {
        let (path, tests) = (found[1].to_owned(), found[2].to_owned());
        name.captures_iter(&tests).map(|test| (path.clone(), test[1].to_owned())).collect::<Vec<_>>()
    };
    group.captures_iter(page).flat_map(tests).collect()
}

#[test]
fn every_promise_of_the_security_page_is_kept_by_a_test_that_exists() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let promises = kept_promises(&page);
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`"));
    assert!(rows.count() > 10 && promises.len() > 20, "the page was not read: {promises:?}");
    for (path, test) in promises {
        let source = fs::read_to_string(root().join(&path)).unwrap_or_default();
        let is_there = source.contains(&format!("fn {test}("));
        assert!(is_there && source.contains("#[test]"), "SECURITY.md names `{test}`, which is not in `{path}`");
    }
}

#[test]
fn promises_are_read_with_every_test_that_keeps_them() {
    let page = "| a | `a/b.rs`: `one`, `two`; `c.rs`: `three` |\n| b, see `d.rs` | `fn` |";
    let expected = [("a/b.rs", "one"), ("a/b.rs", "two"), ("c.rs", "three")];
    assert_eq!(kept_promises(page), expected.map(|(path, test)| (path.to_owned(), test.to_owned())));
}

// Reading the workspace -------------------------------------------------------------------------------------------

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the workspace").to_owned()
}

fn subfolders(of: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(of)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir() && !path.ends_with("src")).collect()
}

/// Returns every text file of the workspace with its path from the root; build results and runs left out.
fn files() -> Vec<(String, String)> {
    let (mut files, mut open) = (Vec::new(), vec![root()]);
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                // A suite may be called `runs`, too; run folders are beside projects, never in a crate.
                let is_run = name == "runs" && !path.starts_with(root().join("crates"));
                let is_ours = !is_run && !["target", ".git", "__pycache__"].contains(&name.as_ref());
                open.extend(is_ours.then_some(path));
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root()).expect("the walk starts at the root");
                files.push((relative.to_string_lossy().into_owned(), text));
            }
        }
    }
    assert!(files.iter().any(|(path, _)| path == "crates/types/src/lib.rs"), "the walk missed the sources");
    files
}

/// Reads the resolved dependencies for the platform of the tests.
///
/// Of a foreign package its normal dependencies count, since that is what ends up in the binary; between our own
/// packages every kind of dependency counts.
fn graph() -> Graph {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let platform = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--filter-platform", &platform])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<_, _> =
        packages.iter().map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap())).collect();
    let name_of = |id: &Value| names[id.as_str().unwrap()].to_owned();

    let mut graph = Graph::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let from = name_of(&node["id"]);
        let edges = graph.entry(from.clone()).or_default();
        for dependency in node["deps"].as_array().unwrap() {
            let to = name_of(&dependency["pkg"]);
            let is_normal = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            if is_normal || from.starts_with("greensand-") && to.starts_with("greensand-") {
                edges.insert(to);
            }
        }
    }
    graph
}
