//! `greensand doctor --security`: which walls stand on this machine.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{Answer, command, run};
use serde_json::Value;

fn doctor(cache: &Path, arguments: &[&str]) -> Answer {
    let mut command = command(&[&["doctor", "--security"], arguments].concat());
    command.env("GREENSAND_CACHE", cache).env_remove("GREENSAND_ALLOW_UNJAILED_BUILDS");
    run(command, b"")
}

fn standing<'a>(walls: &'a [Value], name: &str) -> &'a str {
    let wall = walls.iter().find(|wall| wall["name"] == name);
    wall.unwrap_or_else(|| panic!("no wall `{name}` in {walls:?}"))["standing"].as_str().expect("a standing is text")
}

#[test]
fn the_exit_code_says_whether_every_promised_wall_stands() {
    let cache = tempfile::tempdir().expect("a folder can be made");
    let answer = doctor(cache.path(), &["--json"]);
    let walls = answer.json().as_array().expect("walls are a list").clone();
    assert_eq!(standing(&walls, "guard regions"), "stands");
    assert_eq!(standing(&walls, "cache folder"), "stands");
    assert_eq!(standing(&walls, "cache key"), "stands");
    let is_broken = walls.iter().any(|wall| wall["promised"] == true && wall["standing"] == "missing");
    assert_eq!(answer.code, Some(i32::from(is_broken)), "{walls:?}");
    for wall in &walls {
        assert!(wall["found"].as_str().is_some_and(|found| !found.is_empty()), "{wall}");
        assert!(wall["meaning"].as_str().is_some_and(|meaning| !meaning.is_empty()), "{wall}");
    }
}

#[test]
fn a_cache_that_others_can_write_to_is_a_missing_wall_and_not_a_failure() {
    let cache = tempfile::tempdir().expect("a folder can be made");
    fs::set_permissions(cache.path(), Permissions::from_mode(0o777)).expect("the mode can be set");
    let answer = doctor(cache.path(), &["--json"]).code(1);
    let walls = answer.json().as_array().expect("walls are a list").clone();
    assert_eq!(standing(&walls, "cache folder"), "missing");
    let text = doctor(cache.path(), &["--color", "never"]).code(1).stdout;
    assert!(text.contains("mend it: chmod 700 "), "{text}");
}
