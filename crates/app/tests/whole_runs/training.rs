//! Training from project folder to run folder, with scripted models.

use std::sync::Arc;

use greensand_app::store::{DecisionKind, JournalEvent, RunFolder};
use greensand_app::{Event, Interrupt, ModelBackend, RunEnding, Silent, Split, TrainErrorKind};
use greensand_types::Message;

use crate::support::*;

#[test]
fn a_run_learns_rolls_back_and_stops_early() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let report = &done.report;
    assert_eq!(done.ending, RunEnding::Finished);
    assert_eq!(decisions(report), ["Baseline 25", "Accepted 50", "Accepted 100", "RolledBack 50", "Unchanged"]);
    assert_eq!(report.stop.as_ref().map(|stop| stop.kind.as_str()), Some("patience"));
    let test = report.test.clone().unwrap();
    assert_eq!(test.initial.unwrap().score, Some(0.25));
    assert_eq!(test.best.unwrap().score, Some(1.0));
    let [function] = report.functions.as_slice() else { panic!("{:?}", report.functions) };
    assert_eq!((&*function.name, function.since_epoch, function.calls, function.solved), ("add", Some(2), 8, 8));
}

#[test]
fn the_best_set_is_on_disk_and_can_be_read_by_people() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let best = done.folder.load_set("best").unwrap();
    assert_eq!(best.id.map(|id| id.to_string()), done.report.best);
    let source = std::fs::read_to_string(best.path.join("add.py")).unwrap();
    assert_eq!(source, "add(a, b) = sum");
    assert_eq!(done.folder.sets().unwrap().len(), 4, "the empty set, and one for each epoch that changed something");
    assert!(done.folder.load_set("initial").unwrap().functions.is_empty());
    let text = std::fs::read_to_string(done.folder.path().join("report.txt")).unwrap();
    assert!(text.contains("3  rolled back 50.0 % (before 100.0 %)"), "{text}");
}

#[test]
fn the_report_can_be_made_again_from_the_journal() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    assert_eq!(RunFolder::open(done.folder.path()).unwrap().report().unwrap(), done.report);
    // A process that was killed leaves no report.
    std::fs::remove_file(done.folder.path().join("report.json")).unwrap();
    assert_eq!(done.folder.report().unwrap(), done.report);
}

#[test]
fn a_run_that_lost_a_file_still_has_a_report_that_says_so() {
    let cut = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, text.replacen("\"seq\":2,", "\"seq\":7,", 1)).unwrap();
    };
    let edit = |path: &std::path::Path| std::fs::write(path.join("add.py"), "add(a, b) = wrong").unwrap();
    type Damage<'a> = &'a dyn Fn(&RunFolder);
    let cases: [(Damage<'_>, &str, usize); 4] = [
        (
            &|run| std::fs::remove_file(run.path().join("replies.jsonl")).unwrap(),
            "what the replies cost is not known",
            1,
        ),
        (&|run| cut(&run.path().join("replies.jsonl")), "replies.jsonl:3: the line has number 7 where 2 is due", 1),
        (&|run| edit(&run.load_set("best").unwrap().path), "function `add`", 0),
        (&|run| std::fs::remove_dir_all(run.path().join("sets")).unwrap(), "has no function set", 0),
    ];
    for (damage, says, functions) in cases {
        let folder = story();
        let done = folder.train(&[]).unwrap();
        damage(&done.folder);
        let report = done.folder.report().unwrap();
        assert!(matches!(report.warnings.as_slice(), [warning] if warning.contains(says)), "{:?}", report.warnings);
        assert_eq!((report.functions.len(), &report.epochs), (functions, &done.report.epochs), "{says}");
        assert!(report.to_text().contains("3  rolled back 50.0 %"), "{says}");
    }
}

#[test]
fn a_torn_line_is_told_of_when_nobody_will_finish_it() {
    let folder = story();
    let (project, equipment) = folder.open(&[]);
    let tear = |run: &RunFolder| {
        let mut file = std::fs::File::options().append(true).open(run.path().join("replies.jsonl")).unwrap();
        std::io::Write::write_all(&mut file, b"{\"seq\":").unwrap();
    };
    let seen = std::sync::Mutex::new(None);
    let observer = Watching(|event: &Event<'_>| {
        if let Event::RunOpened { folder, .. } = event {
            let run = RunFolder::open(folder).unwrap();
            let whole = std::fs::read(run.path().join("replies.jsonl")).unwrap();
            tear(&run);
            *seen.lock().unwrap() = Some(run.report().unwrap().warnings);
            std::fs::write(run.path().join("replies.jsonl"), whole).unwrap();
        }
    });
    let done = train(&project, &equipment, &observer, &Interrupt::new()).unwrap();
    assert_eq!(seen.lock().unwrap().take(), Some(Vec::new()), "its process is writing that line");
    tear(&done.folder);
    let warnings = done.folder.report().unwrap().warnings;
    assert!(matches!(warnings.as_slice(), [warning] if warning.contains("the process ended while")), "{warnings:?}");
}

#[test]
fn a_roll_back_reaches_both_roles() {
    let folder = story();
    let (project, mut equipment) = folder.open(&[]);
    let (assistant, optimizer) = (Listening::to(&equipment.assistant), Listening::to(&equipment.optimizer));
    equipment.assistant = Arc::clone(&assistant) as Arc<dyn ModelBackend>;
    equipment.optimizer = Arc::clone(&optimizer) as Arc<dyn ModelBackend>;
    let done = train(&project, &equipment, &Silent, &Interrupt::new()).unwrap();
    // The harmful function of epoch 3 was rolled back: what comes after is with that of epoch 2.
    let tests = events(&done.folder);
    let tested = tests.iter().filter_map(|event| match event {
        JournalEvent::Conversation(line) if line.split == "test" => Some(line),
        _ => None,
    });
    assert!(tested.clone().filter(|line| line.calls.len() == 1).all(|line| line.verdict.solved));
    let described = |text: &str, request: &greensand_llm::ChatRequest| {
        request.tools.iter().any(|tool| tool.description.contains(text))
    };
    let requests = assistant.requests.lock().unwrap();
    let last = requests.last().unwrap();
    assert!(described("written in epoch 2", last) && !described("written in epoch 3", last));
    let after = optimizer.requests.lock().unwrap().iter().rfind(|request| request.epoch == 4).cloned().unwrap();
    let prompt = after.messages.iter().map(|message| format!("{message:?}")).collect::<String>();
    assert!(prompt.contains("add(a, b) = sum"), "the optimizer is told of the set that was rolled back to");
}

#[test]
fn jobs_change_nothing_but_time() {
    let journal = |jobs: &str| {
        let folder = story();
        let run = folder.train(&[jobs]).unwrap().folder;
        let text = std::fs::read_to_string(run.path().join("journal.jsonl")).unwrap();
        text.replace(&run.name(), "RUN")
    };
    let one = journal("training.jobs=1");
    assert!(one.lines().count() > 40);
    assert_eq!(journal("training.jobs=3"), one);
    assert_eq!(journal("training.jobs=16"), one);
}

#[test]
fn a_run_can_be_replayed_from_its_own_replies() {
    let folder = story();
    let recorded = folder.train(&[]).unwrap();
    let run = format!("model.run={}", recorded.folder.path().display());
    let replayed = folder.train(&["model.backend=replay", &run]).unwrap();
    let mut report = replayed.report;
    report.run.clone_from(&recorded.report.run);
    // What was spent is alike; only that it was free has another reason.
    report.spend.prices.clone_from(&recorded.report.spend.prices);
    assert_eq!(report, recorded.report);
}

#[test]
fn the_test_split_is_sealed_until_the_training_is_over() {
    let folder = story();
    let (project, mut equipment) = folder.open(&[]);
    let optimizer = Listening::to(&equipment.optimizer);
    equipment.optimizer = Arc::clone(&optimizer) as Arc<dyn ModelBackend>;
    let done = train(&project, &equipment, &Silent, &Interrupt::new()).unwrap();
    let secret: Vec<&str> = [Split::Validation, Split::Test]
        .iter()
        .flat_map(|split| project.tasks.get(*split))
        .map(|task| task.question.as_str())
        .collect();
    for request in optimizer.requests.lock().unwrap().iter() {
        for message in &request.messages {
            let (Message::System { text }
            | Message::User { text }
            | Message::Assistant { text, .. }
            | Message::Tool { content: text, .. }) = message;
            assert!(secret.iter().all(|question| !text.contains(question)), "{text}");
        }
    }
    let events = events(&done.folder);
    let first_test = events
        .iter()
        .position(|event| matches!(event, JournalEvent::EvaluationStarted(record) if record.split == "test"));
    let last_decision = events.iter().rposition(|event| matches!(event, JournalEvent::Decision(_)));
    assert!(first_test > last_decision);
    let tests =
        events.iter().filter(|event| matches!(event, JournalEvent::EvaluationDone(record) if record.split == "test"));
    assert_eq!(tests.count(), 2, "the initial and the best set, once each");
}

#[test]
fn without_validation_acceptance_is_decided_on_train() {
    let folder = story();
    let text = std::fs::read_to_string(folder.path().join("greensand.toml")).unwrap();
    let text = text.replace("validation = \"tasks/validation.jsonl\"\n", "");
    std::fs::write(folder.path().join("greensand.toml"), text).unwrap();
    let done = folder.train(&[]).unwrap();
    assert_eq!(done.report.acceptance_split, "train");
    assert_eq!(decisions(&done.report)[..3], ["Baseline 25", "Accepted 50", "Accepted 100"]);
    // One measurement serves both purposes.
    assert!(done.report.epochs.iter().all(|epoch| epoch.scores.len() <= 1));
}

#[test]
fn a_request_that_fails_is_missing_data_and_never_a_zero() {
    let fails = "[[rule]]\nrole = \"assistant\"\ntask = \"validation-3-3\"\nfail = \"unreachable\"\n";
    let rules = [fails, ASSISTANT, &writes(1, "add_function", "sum"), SILENT_OPTIMIZER];
    let folder = Folder::new("[training]\npatience = 1\nmax_missing = 0.25\n", &rules);
    let done = folder.train(&[]).unwrap();
    // Of the three that are measured, one is solved by guessing, and then all.
    assert_eq!(decisions(&done.report), ["Baseline 33", "Accepted 100", "Unchanged"]);
    assert_eq!(done.report.epochs[0].scores[0].missing, 1);
    let missing: Vec<_> = events(&done.folder)
        .into_iter()
        .filter_map(|event| if let JournalEvent::Missing(record) = event { Some(record.task) } else { None })
        .collect();
    assert_eq!(missing, ["validation-3-3", "validation-3-3"]);
}

#[test]
fn too_much_missing_data_stops_the_run_and_keeps_the_best() {
    let fails = "[[rule]]\nrole = \"assistant\"\nepoch = 1\nfail = \"rate_limited\"\n";
    let rules = [fails, ASSISTANT, &writes(1, "add_function", "sum"), SILENT_OPTIMIZER];
    let done = Folder::new("", &rules).train(&[]).unwrap();
    assert_eq!(done.ending, RunEnding::TooMuchMissing);
    let stop = done.report.stop.clone().unwrap();
    assert_eq!(stop.kind, "too_much_missing");
    assert!(
        stop.reason.contains("1 of 4 tasks of validation could not be worked on; the first: get reply 1"),
        "{}",
        stop.reason
    );
    assert_eq!(done.report.best, done.report.initial);
}

#[test]
fn what_every_request_would_share_stops_at_once() {
    for (fail, epochs) in [("authentication", 0), ("unknown_model", 0), ("quota_spent", 0)] {
        let rules = [format!("[[rule]]\nrole = \"assistant\"\nfail = \"{fail}\"\n"), SILENT_OPTIMIZER.into()];
        let folder = Folder::new("", &rules.each_ref().map(String::as_str));
        let (project, mut equipment) = folder.open(&["training.jobs=1"]);
        let assistant = Listening::to(&equipment.assistant);
        equipment.assistant = Arc::clone(&assistant) as Arc<dyn ModelBackend>;
        let error = train(&project, &equipment, &Silent, &Interrupt::new()).unwrap_err();
        assert_eq!(assistant.requests.lock().unwrap().len(), 1, "{fail}");
        let report = RunFolder::open(error.run().unwrap()).unwrap().report().unwrap();
        assert_eq!(report.stop.map(|stop| stop.kind).as_deref(), Some("failed"));
        assert_eq!(report.epochs.len(), epochs);
    }
}

#[test]
fn a_script_that_has_no_reply_is_an_error_that_says_where() {
    let folder = Folder::new("", &[ASSISTANT]);
    let error = folder.train(&[]).unwrap_err();
    let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(text.starts_with("get a reply of the optimizer's model: ") && text.contains("optimizer"), "{text}");
    // What was measured before it is kept.
    let report = RunFolder::open(error.run().unwrap()).unwrap().report().unwrap();
    assert_eq!(decisions(&report), ["Baseline 25"]);
}

#[test]
fn a_model_that_fails_at_the_end_costs_the_test_score_and_not_the_best_set() {
    for (fail, kind) in [("authentication", "failed"), ("rate_limited", "too_much_missing")] {
        let fails = format!("[[rule]]\nrole = \"assistant\"\ntask = \"test-*\"\nfail = \"{fail}\"\n");
        let rules = [&fails, ASSISTANT, &writes(1, "add_function", "sum"), SILENT_OPTIMIZER];
        let folder = Folder::new("[training]\npatience = 1\n", &rules);
        let ended = folder.train(&[]).map(|done| done.ending);
        assert!(matches!(ended, Err(_) | Ok(RunEnding::TooMuchMissing)), "{ended:?}");
        let run = RunFolder::open(&folder.runs()[0]).unwrap();
        let report = run.report().unwrap();
        assert_eq!(report.stop.as_ref().map(|stop| stop.kind.as_str()), Some(kind));
        assert_eq!(decisions(&report), ["Baseline 25", "Accepted 100", "Unchanged"]);
        assert_eq!(run.load_set("best").unwrap().functions.len(), 1);
    }
}

#[test]
fn a_step_that_the_endpoint_refuses_to_go_on_with_keeps_what_it_had_applied() {
    let fails = "[[rule]]\nrole = \"optimizer\"\nepoch = 1\nturn = 1\nfail = \"refused\"\n";
    let rules = [fails, ASSISTANT, &writes(1, "add_function", "sum"), SILENT_OPTIMIZER];
    let done = Folder::new("[training]\nepochs = 1\n", &rules).train(&[]).unwrap();
    assert_eq!(decisions(&done.report), ["Baseline 25", "Accepted 100"]);
    let step = done.report.epochs[1].step.clone().unwrap();
    assert_eq!((step.end.as_str(), step.proposals.len()), ("failed", 1));
    assert!(done.report.warnings.iter().any(|warning| warning.contains("the step of epoch 1 was cut short")));
}

#[test]
fn a_step_without_any_reply_is_an_error_and_no_early_stop() {
    for fail in ["unreachable", "timed_out", "rate_limited", "bad_reply"] {
        let fails = format!("[[rule]]\nrole = \"optimizer\"\nfail = \"{fail}\"\n");
        let folder = Folder::new("", &[&fails, ASSISTANT]);
        let error = folder.train(&[]).unwrap_err();
        assert!(matches!(error.kind, TrainErrorKind::Optimizer(_)), "{error}");
        let report = RunFolder::open(error.run().unwrap()).unwrap().report().unwrap();
        assert_eq!(decisions(&report), ["Baseline 25"], "what was measured before it is kept");
        assert_eq!((report.stop.unwrap().kind.as_str(), report.best), ("failed", report.initial));
    }
}

#[test]
fn a_fault_of_the_host_never_costs_a_function_its_verdict() {
    let rules = [ASSISTANT, &writes(1, "add_function", "fault"), SILENT_OPTIMIZER];
    let error = Folder::new("", &rules).train(&[]).unwrap_err();
    assert_eq!(error.to_string(), "examine a draft");
    assert!(error.hint().unwrap().contains("doctor"));
}

#[test]
fn an_initial_set_passes_admission_again() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let best = done.folder.load_set("best").unwrap().path;
    let initial = format!("functions.initial={}", best.display());
    let next = folder.train(&[&initial, "training.epochs=1"]).unwrap();
    assert_eq!(decisions(&next.report)[0], "Baseline 100");
    assert_eq!(next.report.functions[0].since_epoch, None);

    // Edited, it is no longer what the run wrote.
    std::fs::write(best.join("add.py"), "add(a, b) = wrong").unwrap();
    let error = folder.train(&[&initial]).unwrap_err();
    assert!(error.run().is_none() && error.hint().unwrap().contains("function-set.json"), "{error}");
    // As a person's own set it is examined like any other.
    std::fs::remove_file(best.join("function-set.json")).unwrap();
    let own = folder.train(&[&initial, "training.epochs=1"]).unwrap();
    assert_eq!(decisions(&own.report)[0], "Baseline 50");
    let text = std::fs::read_to_string(best.join("add.json")).unwrap();
    std::fs::write(best.join("add.json"), text.replace("\"result\": 2", "\"result\": 5")).unwrap();
    let error = folder.train(&[&initial]).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("`add` at gate `examples`"), "{cause}");
}

#[test]
fn a_run_folder_that_cannot_be_made_is_named() {
    let folder = story();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let runs = format!("project.runs={}", folder.path().join("file").display());
    let error = folder.train(&[&runs]).unwrap_err();
    let cause = error.to_string();
    assert!(cause.starts_with("write `") && cause.ends_with("/file`"), "{cause}");
}

#[test]
fn runs_at_the_same_time_have_folders_of_their_own() {
    let folder = story();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| folder.train(&[]).unwrap().folder)).collect();
        let mut names: Vec<_> = runs.into_iter().map(|run| run.join().unwrap().name()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 4);
    });
    assert_eq!(folder.runs().len(), 4);
}

#[test]
fn a_run_is_locked_while_it_is_written() {
    let folder = story();
    let (project, equipment) = folder.open(&[]);
    let seen = std::sync::Mutex::new(None);
    let observer = Watching(|event: &Event<'_>| {
        if let Event::RunOpened { folder, .. } = event {
            *seen.lock().unwrap() = Some(RunFolder::open(folder).unwrap().is_in_use());
        }
    });
    let done = train(&project, &equipment, &observer, &Interrupt::new()).unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(true));
    assert!(!done.folder.is_in_use());
}

#[test]
fn no_secret_gets_into_a_run() {
    let folder = story();
    let environment = greensand_app::Environment::of([("OPENAI_API_KEY", "sk-very-secret")], folder.path());
    let overrides = greensand_app::Overrides::new();
    let project = greensand_app::open_project(folder.path(), &overrides, &environment).unwrap();
    let equipment = greensand_app::Equipment::open(&project, Arc::new(TableRuntime), &environment).unwrap();
    let done = train(&project, &equipment, &Silent, &Interrupt::new()).unwrap();
    let mut folders = vec![done.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains("sk-very-secret"), "{}", path.display());
            }
        }
    }
    assert!(!format!("{environment:?}").contains("sk-very-secret"));
}

#[test]
fn every_decision_says_what_is_registered() {
    let folder = story();
    let done = folder.train(&[]).unwrap();
    let mut best = None;
    for event in events(&done.folder) {
        let JournalEvent::Decision(record) = event else { continue };
        if matches!(record.decision, DecisionKind::Baseline | DecisionKind::Accepted) {
            best = Some(record.set.clone());
        }
        assert_eq!(Some(&record.registered), best.as_ref());
    }
    assert_eq!(best, done.report.best);
}

#[test]
fn an_indecisive_comparison_buys_trials_and_is_rolled_back_in_the_end() {
    let rules = [ASSISTANT, &writes(1, "add_function", "wrong"), SILENT_OPTIMIZER];
    let settings = "[training]\nacceptance = \"significant\"\nmax_trials = 3\npatience = 1\n";
    let folder = Folder::new(settings, &rules);
    let done = folder.train(&[]).unwrap();
    assert_eq!(decisions(&done.report), ["Baseline 25", "RolledBack 50"]);
    let kinds: Vec<_> = events(&done.folder)
        .into_iter()
        .filter_map(|event| match event {
            JournalEvent::Decision(decision) => Some(decision.decision),
            _ => None,
        })
        .collect();
    let expected = [DecisionKind::Baseline, DecisionKind::Undecided, DecisionKind::Undecided, DecisionKind::RolledBack];
    assert_eq!(kinds, expected);
    let decision = done.report.epochs[1].decision.clone().unwrap();
    let comparison = decision.comparison.unwrap();
    assert_eq!((comparison.trials, comparison.tasks, comparison.gained, comparison.lost), (3, 4, 1, 0));
    assert!(decision.reason.starts_with("indecisive after 3 trials of each task"), "{}", decision.reason);
    let trials: Vec<_> = done.report.epochs[1].scores.iter().map(|score| (score.first_trial, score.trials)).collect();
    assert_eq!(trials[..5], [(0, 1), (1, 1), (1, 1), (2, 1), (2, 1)], "candidate, then best and candidate by turns");
    // Each trial is a draw of its own.
    let mut attempts = std::collections::HashSet::new();
    for event in events(&done.folder) {
        if let JournalEvent::Conversation(line) = event {
            assert!(attempts.insert((line.epoch, line.split, line.set, line.task, line.repeat)));
        }
    }
}

#[test]
fn a_score_is_the_mean_of_its_trials_and_has_an_interval() {
    let folder = story();
    let done = folder.train(&["training.repeats=2", "training.epochs=1"]).unwrap();
    let baseline = &done.report.epochs[0].scores[0];
    assert_eq!((baseline.tasks, baseline.trials, baseline.attempts(), baseline.solved), (4, 2, 8, 2));
    let [low, high] = baseline.interval.unwrap();
    assert!(low > 0.0 && low < 0.25 && high > 0.5 && high < 1.0, "{low} {high}");
    assert!((baseline.standard_error.unwrap() - 0.25).abs() < 1e-9);
    // The optimizer reads one conversation about each task.
    let train = |event: &JournalEvent| matches!(event, JournalEvent::Conversation(line) if line.split == "train");
    assert_eq!(events(&done.folder).iter().filter(|event| train(event)).count(), 4);
}
