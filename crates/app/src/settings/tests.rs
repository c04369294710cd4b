use std::collections::BTreeSet;

use greensand_sandbox::InstanceMode;

use super::keys::{KEYS, Kind};
use super::*;
use crate::Environment;

fn project(text: &str) -> ProjectSource {
    ProjectSource { root: "project".into(), file: "project/greensand.toml".into(), text: text.into() }
}

/// The shortest project file that is complete.
const TASKS: &str = "tasks.train = \"train.jsonl\"\n";

fn settings(text: &str, overrides: &Overrides, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let environment = Environment::of(variables.iter().copied(), "/here");
    resolve(&project(&format!("{TASKS}{text}")), overrides, &environment)
        .map_err(|error| format!("{error}{}", error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default()))
}

fn check(text: &str) -> Result<Settings, String> {
    settings(text, &Overrides::new(), &[])
}

fn source_of(settings: &Settings, key: &str) -> String {
    settings.values().find(|value| value.key == key).map_or("none".into(), |value| value.source.to_string())
}

#[test]
fn every_setting_stands_in_the_defaults_with_a_value_or_commented_out() {
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            found.insert(format!("{section}.{key}"));
        }
    }
    let known: BTreeSet<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    assert_eq!(found, known);
}

#[test]
fn only_options_have_no_default() {
    // What a plain struct field falls back to must never be what a project gets.
    let optional = [
        "project.name",
        "tasks.train",
        "tasks.validation",
        "tasks.test",
        "tasks.file",
        "tasks.split.train",
        "tasks.split.validation",
        "tasks.split.test",
        "model.model",
        "model.proxy",
        "model.script",
        "model.latency_ms",
        "model.run",
        "model.input_price",
        "model.cached_input_price",
        "model.output_price",
        "budget.max_usd",
        "budget.max_tokens",
        "budget.max_calls",
        "budget.prices",
        "model.temperature",
        "model.max_tokens",
        "model.seed",
        "agent.instructions",
        "limits.memory_mb",
        "functions.initial",
    ];
    let settings = check("").unwrap();
    let given: BTreeSet<_> = settings.values().map(|value| value.key).collect();
    // Without a model there are none.
    assert_eq!(settings.embeddings, None);
    for key in KEYS.iter().filter(|key| !key.name.starts_with("embeddings.")) {
        let inherited = key.name.strip_prefix("optimizer.").unwrap_or(key.name);
        let may_be_absent = optional.contains(&key.name) || optional.contains(&inherited);
        assert!(given.contains(key.name) || may_be_absent, "`{}` has no default", key.name);
    }
}

#[test]
fn instances_are_as_new_unless_somebody_asks_for_others() {
    let instances = |text| check(text).map(|settings| settings.sandbox.instances);
    assert_eq!(instances(""), Ok(InstanceMode::Pristine));
    assert_eq!(instances("[sandbox]\ninstances = \"fresh\""), Ok(InstanceMode::Fresh));
    assert!(instances("[sandbox]\ninstances = \"new\"").unwrap_err().contains("fresh"));
}

#[test]
fn every_setting_of_every_backend_can_be_set() {
    for entry in greensand_llm::BACKENDS {
        for setting in entry.settings {
            for section in ["model", "optimizer.model"] {
                let key = format!("{section}.{}", setting.name);
                assert!(keys::find(&key).is_some(), "backend `{}` takes `{key}`", entry.name);
            }
        }
    }
}

#[test]
fn the_limits_of_a_project_have_the_bounds_of_those_of_a_call() {
    for limit in crate::batch::LIMIT_KEYS {
        let key = keys::find(&format!("limits.{}", limit.name)).unwrap();
        let Kind::Integer(least, most) = key.kind else { panic!("{}", limit.name) };
        assert_eq!((u64::try_from(least), u64::try_from(most)), (Ok(limit.least), Ok(limit.most)), "{}", limit.name);
    }
}

#[test]
fn every_environment_variable_means_one_setting() {
    let variables: BTreeSet<_> = KEYS.iter().map(layer::variable_of).collect();
    assert_eq!(variables.len(), KEYS.len());
    assert!(!variables.contains(crate::CACHE_VARIABLE));
}

#[test]
fn the_later_layer_wins_and_every_value_knows_its_source() {
    let mut flags = Overrides::new();
    flags.flag("--epochs", "training.epochs", "4");
    let text = "[training]\nepochs = 2\npatience = 2\njobs = 2\n";
    let variables = [("GREENSAND_TRAINING_EPOCHS", "3"), ("GREENSAND_TRAINING_PATIENCE", "3")];
    let settings = settings(text, &flags, &variables).unwrap();
    let training = &settings.training;
    assert_eq!((training.epochs, training.patience, training.jobs, training.max_retries), (4, 3, 2, 3));
    for (key, source) in [
        ("training.epochs", "flag --epochs"),
        ("training.patience", "environment variable GREENSAND_TRAINING_PATIENCE"),
        ("training.jobs", "project/greensand.toml:5"),
        ("training.max_retries", "default"),
        ("project.name", "none"),
    ] {
        assert_eq!(source_of(&settings, key), source, "{key}");
    }
}

#[test]
fn paths_are_relative_to_the_place_that_names_them() {
    let mut flags = Overrides::new();
    flags.flag("--runs", "project.runs", "elsewhere");
    let settings = settings("functions.initial = \"set\"", &flags, &[("GREENSAND_MODEL_SCRIPT", "s.toml")]).unwrap();
    assert_eq!(settings.runs_dir, Path::new("/here/elsewhere"));
    assert_eq!(settings.functions.initial.as_deref(), Some(Path::new("project/set")));
    assert_eq!(settings.assistant.script.as_deref(), Some(Path::new("/here/s.toml")));
}

#[test]
fn mistakes_name_key_file_and_line_and_the_nearest_key() {
    for (text, expected) in [
        (
            "[training]\nepoch = 3",
            "project/greensand.toml:3: unknown setting `training.epoch` | did you mean `training.epochs`?",
        ),
        ("[trainig]\nepochs = 3", "project/greensand.toml:2: unknown setting `trainig` | did you mean `training`?"),
        ("seed = 3", "project/greensand.toml:2: unknown setting `seed` | did you mean `tasks.split.seed`?"),
        (
            "\n\n[training]\nepochs = \"3\"",
            "project/greensand.toml:5: setting `training.epochs` must be a whole number from 1 to 1000000, found the text \"3\"",
        ),
        (
            "training.epochs = 0",
            "project/greensand.toml:2: setting `training.epochs` must be a whole number from 1 to 1000000, found the number 0",
        ),
        (
            "training = 3",
            "project/greensand.toml:2: setting `training` must be a table of settings, found the number 3",
        ),
        (
            "model.backend = \"openai\"",
            "project/greensand.toml:2: setting `model.backend` must be one of \"openai_compatible\", \"scripted\", \"replay\", found the text \"openai\"",
        ),
        (
            "model.backend = \"Scriptd\"",
            "project/greensand.toml:2: setting `model.backend` must be one of \"openai_compatible\", \"scripted\", \"replay\", found the text \"Scriptd\" | did you mean `scripted`?",
        ),
        (
            "agent.run_fenced_blocks = 1",
            "project/greensand.toml:2: setting `agent.run_fenced_blocks` must be `true` or `false`, found the number 1",
        ),
        (
            "functions.language = \"Python!\"",
            "project/greensand.toml:2: setting `functions.language` must be the name of a guest language, such as \"python\", found the text \"Python!\"",
        ),
        (
            "tasks.file = \"all.jsonl\"",
            "project/greensand.toml:2: setting `tasks.file` does not go with `tasks.train`: tasks come either from one file that is split, or from a file for each split | leave out one of the two",
        ),
        (
            "[agent]\ncode_tool = \"none\"\nrun_fenced_blocks = true",
            "project/greensand.toml:4: setting `agent.run_fenced_blocks` does not go with `agent.code_tool`: fenced blocks are run by the code tool, and there is none | give `agent.code_tool` a language, such as \"python\", or set `agent.run_fenced_blocks` to `false`",
        ),
    ] {
        assert_eq!(check(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn text_that_is_no_toml_names_its_line() {
    for text in ["\n\n[training", "a = 1\na = 2", "training.jobs = 1 2", "\u{0}"] {
        let error = check(text).unwrap_err();
        assert!(error.starts_with("project/greensand.toml:") && error.contains("not well-formed TOML"), "{error}");
    }
}

#[test]
fn unknown_variables_and_flags_fail_too() {
    let error = settings("", &Overrides::new(), &[("GREENSAND_TRAINING_EPOCH", "3")]).unwrap_err();
    assert_eq!(
        error,
        "environment variable GREENSAND_TRAINING_EPOCH: unknown setting `GREENSAND_TRAINING_EPOCH` | did you mean `GREENSAND_TRAINING_EPOCHS`?"
    );
    let mut flags = Overrides::new();
    flags.set("training.jbos=3").unwrap();
    assert_eq!(
        settings("", &flags, &[]).unwrap_err(),
        "flag --set: unknown setting `training.jbos` | did you mean `training.jobs`?"
    );
    assert!(Overrides::new().set("training.jobs").is_err());
    assert!(settings("", &Overrides::new(), &[("GREENSAND_CACHE", "/x")]).is_ok());
}

#[test]
fn text_of_flags_is_read_as_its_setting_wants_it() {
    let mut flags = Overrides::new();
    for assignment in [
        "functions.packages=a, b",
        "tasks.train=[\"x.jsonl\", \"y,z.jsonl\"]",
        "agent.run_fenced_blocks=true",
        "training.max_missing=1",
        "scorer.options.relative_tolerance=1e-6",
        "scorer.options.unit=\"m\"",
        "scorer.name=number",
        "model.model=gpt-4.1",
    ] {
        flags.set(assignment).unwrap();
    }
    let settings = settings("", &flags, &[]).unwrap();
    assert_eq!(settings.functions.packages, ["a", "b"]);
    let expected = TaskFiles::PerSplit {
        train: vec!["/here/x.jsonl".into(), "/here/y,z.jsonl".into()],
        validation: Vec::new(),
        test: Vec::new(),
    };
    assert_eq!(settings.tasks.files, expected);
    assert!(settings.agent.run_fenced_blocks);
    assert_eq!(settings.training.max_missing, 1.0);
    assert_eq!(
        serde_json::Value::from(settings.scorer.options).to_string(),
        r#"{"relative_tolerance":1e-6,"unit":"m"}"#
    );
    assert_eq!(settings.assistant.model.as_deref(), Some("gpt-4.1"));
}

#[test]
fn whoever_asks_for_a_model_never_gets_a_script() {
    let script = "[model]\nbackend = \"scripted\"\nscript = \"s.toml\"\n";
    let backends = |flags: &Overrides| {
        let settings = settings(script, flags, &[]).unwrap();
        [settings.assistant, settings.optimizer].map(|model| (model.backend, model.model.unwrap_or_default()))
    };
    let both =
        |backend: &str, model: &str| [(backend.to_owned(), model.to_owned()), (backend.to_owned(), model.to_owned())];
    assert_eq!(backends(&Overrides::new()), both("scripted", ""));
    assert_eq!(backends(Overrides::new().model("m")), both("openai_compatible", "m"));
    assert_eq!(backends(Overrides::new().model("m").backend("scripted")), both("scripted", "m"));
    assert_eq!(backends(Overrides::new().flag("--set", "model.model", "m")), both("openai_compatible", "m"));
    let mut optimizer_only = Overrides::new();
    optimizer_only.flag("--set", "optimizer.model.model", "m");
    let expected = [("scripted".to_owned(), String::new()), ("openai_compatible".to_owned(), "m".to_owned())];
    assert_eq!(backends(&optimizer_only), expected);
    // The environment asks as a flag does; what names a backend as late as the model, or later, has its way.
    let of_variables = |flags: &Overrides, variables: &[(&str, &str)]| {
        settings(script, flags, variables).map(|settings| [settings.assistant, settings.optimizer].map(|m| m.backend))
    };
    let (model, backend) = (("GREENSAND_MODEL_MODEL", "m"), ("GREENSAND_MODEL_BACKEND", "replay"));
    for (flags, variables, expected) in [
        (Overrides::new(), vec![model], "openai_compatible"),
        (Overrides::new(), vec![model, backend], "replay"),
        (Overrides::new().backend("scripted").clone(), vec![model], "scripted"),
        (Overrides::new().model("m").clone(), vec![backend], "openai_compatible"),
    ] {
        assert_eq!(of_variables(&flags, &variables).unwrap(), [expected, expected], "{flags:?} {variables:?}");
    }
}

#[test]
fn the_optimizer_has_the_assistants_model_unless_it_has_its_own() {
    let settings = check(
        "[model]\nmodel = \"a\"\nbase_url = \"http://localhost:1/v1\"\ntemperature = 0\n[optimizer.model]\nmodel = \"b\"",
    )
    .unwrap();
    let model = |section: &ModelSection| {
        (section.model.clone().unwrap(), section.base_url.clone(), section.sampling.temperature)
    };
    assert_eq!(model(&settings.assistant), ("a".into(), "http://localhost:1/v1".into(), Some(0.0)));
    assert_eq!(model(&settings.optimizer), ("b".into(), "http://localhost:1/v1".into(), Some(0.0)));
}

#[test]
fn secrets_are_refused_and_not_repeated() {
    for (text, key) in [
        ("model.api_key_env = \"sk-secret\"", "model.api_key_env"),
        ("model.base_url = \"https://me:secret@host/v1\"", "model.base_url"),
        ("model.base_url = \"https://host/v1?key=secret\"", "model.base_url"),
        ("model.proxy = \"http://me:secret@host\"", "model.proxy"),
    ] {
        let error = check(text).unwrap_err();
        assert!(error.contains(key) && !error.contains("secret"), "{error}");
    }
    let error = check("model.api_key = \"sk-secret\"").unwrap_err();
    assert_eq!(error, "project/greensand.toml:2: unknown setting `model.api_key` | did you mean `model.api_key_env`?");
}

#[test]
fn no_tasks_is_said_with_what_to_do() {
    let environment = Environment::of([], "/here");
    let error = resolve(&project(""), &Overrides::new(), &environment).unwrap_err();
    assert_eq!(error.to_string(), "setting `tasks.train` is missing: there are no tasks to train on");
    assert!(error.hint().unwrap().contains("[tasks]"));
}

#[test]
fn names_of_kinds_are_all_said() {
    // Every kind has words for a person who got it wrong.
    for key in KEYS {
        assert!(!value::expected(key.kind).is_empty());
        assert!(!matches!(key.kind, Kind::Choice(known) if known().is_empty()), "{}", key.name);
    }
}

#[test]
fn half_a_price_is_none() {
    let missing = check("[model]\ninput_price = 1").unwrap_err();
    assert!(missing.starts_with("setting `model.output_price` is missing"), "{missing}");
    let missing = check("[optimizer.model]\ncached_input_price = 1").unwrap_err();
    assert!(missing.starts_with("setting `optimizer.model.input_price` is missing"), "{missing}");
}

#[test]
fn embeddings_are_asked_only_where_a_model_is_named_and_are_otherwise_as_the_assistant() {
    let none = check("[model]\nmodel = \"m\"").unwrap();
    assert_eq!(none.embeddings, None);
    assert!(none.values().all(|value| !value.key.starts_with("embeddings.")));
    let text = "[model]\nbase_url = \"http://h/v1\"\nmax_retries = 9\ninput_price = 1\noutput_price = 2\n[embeddings]\nmodel = \"e\"\n";
    let Some(EmbeddingsSection { model, max_text_bytes }) = check(text).unwrap().embeddings else { panic!("none") };
    assert_eq!((model.base_url.as_str(), model.model.as_deref(), model.max_retries), ("http://h/v1", Some("e"), 9));
    assert_eq!((model.price, max_text_bytes), (None, 8_000), "the price of one model says nothing of another");
    let text = format!("{text}base_url = \"http://e/v1\"\ninput_price = 0.5\nmax_text_bytes = 512\n");
    let Some(EmbeddingsSection { model, max_text_bytes }) = check(&text).unwrap().embeddings else { panic!("none") };
    let price = model.price.unwrap();
    assert_eq!((model.base_url.as_str(), max_text_bytes), ("http://e/v1", 512));
    assert_eq!((price.input.to_string(), price.output.to_string()), ("$0.50".into(), "$0".into()));
}

#[test]
fn embeddings_without_a_model_are_an_error() {
    let error = check("[embeddings]\nbase_url = \"http://e/v1\"").unwrap_err();
    assert!(error.contains("embeddings.model") && error.contains("`embeddings.base_url` is set"), "{error}");
}

#[test]
fn which_model_of_embeddings_is_asked_decides_what_a_run_does_and_how_fast_it_answers_does_not() {
    for key in ["embeddings.model", "embeddings.base_url", "embeddings.max_text_bytes", "embeddings.input_price"] {
        assert!(!is_free(key) && is_measuring(key), "{key}");
    }
    for key in ["embeddings.max_retries", "embeddings.api_key_env", "embeddings.deadline_s", "embeddings.proxy"] {
        assert!(is_free(key) && !is_measuring(key), "{key}");
    }
}
