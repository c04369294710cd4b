//! A function as a component: it implements the world of `crates/sandbox/wit`. `../README.md` says how to build and
//! call it.

use crate::greensand::function::types::FailureKind;

wit_bindgen::generate!({ path: "../../../crates/sandbox/wit", world: "described-function" });

struct Mean;

export!(Mean);

impl Guest for Mean {
    fn call(entry: String, arguments: String) -> Result<String, Failure> {
        if entry != "mean" {
            return Err(failure(FailureKind::BadEntry, "there is only `mean`"));
        }
        let numbers: Vec<f64> = serde_json::from_str(&arguments)
            .map_err(|error| failure(FailureKind::BadArguments, &format!("`mean` takes numbers: {error}")))?;
        if numbers.is_empty() {
            return Err(failure(FailureKind::Raised, "mean of nothing"));
        }
        println!("{} numbers", numbers.len());
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        Ok(serde_json::json!(mean).to_string())
    }

    fn describe(_entry: String) -> Result<String, Failure> {
        let parameter = serde_json::json!({"name": "numbers", "kind": "rest", "required": true});
        Ok(serde_json::json!({"parameters": [parameter], "doc": "Returns the mean of numbers."}).to_string())
    }
}

fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure { kind, message: message.to_owned(), trace: String::new() }
}
