//! The page of a run: what it tells, and what words of others cannot do to it.

use greensand_app::page::{ReportPage, write_page};
use greensand_app::store::RunFolder;
use serde_json::Value;

use crate::support::{ASSISTANT, Folder, SILENT_OPTIMIZER, writes};

/// A run that accepts one function, rolls one back, and refuses what its examples contradict.
fn trained() -> (Folder, RunFolder) {
    let rules = [writes(1, "add_function", "wrong"), writes(2, "revise_function", "sum")];
    let stops = "[[rule]]\nrole = \"optimizer\"\nreply.text = \"TERMINATE\"\n";
    let folder = Folder::new("[training]\nepochs = 3", &[ASSISTANT, &rules[0], &rules[1], stops]);
    let run = folder.train(&[]).unwrap().folder;
    (folder, run)
}

/// Reads the data that a page holds for programs.
fn embedded(html: &str) -> Value {
    let start =
        html.find("id=\"greensand-report\">").expect("the page has its data") + "id=\"greensand-report\">".len();
    let end = start + html[start..].find("</script>").expect("the element ends");
    serde_json::from_str(&html[start..end]).expect("the data is JSON")
}

#[test]
fn a_page_tells_what_happened_and_holds_its_data_once_more() {
    let (_folder, run) = trained();
    let page = ReportPage::of(&run).unwrap();
    let html = page.to_html();
    for said in [
        "<svg",
        "baseline",
        "accepted",
        "the mean score is higher",
        "Epoch 2",
        "Compared task by task: +",
        "where the true score lies",
        "add(a, b) = sum",
        "training.epochs",
        "train.jsonl",
    ] {
        assert!(html.contains(said), "the page lacks {said}");
    }
    assert_eq!(page.steps.len(), 2, "each step that changed something has its diff");
    assert!(page.steps[1].diff.functions[0].text.contains("-add(a, b) = wrong\n+add(a, b) = sum"), "{page:?}");
    assert_eq!(embedded(&html), serde_json::to_value(&page).unwrap());
    assert_eq!(page.report, run.report().unwrap());
    let spend = &page.report.spend;
    assert!(spend.epochs.iter().any(|epoch| epoch.epoch == 2 && epoch.optimizer.requests > 0), "{spend:?}");
    assert!(html.contains("By epoch") && html.contains("The run has cost $0."), "{spend:?}");
    assert!(spend.epochs.iter().all(|epoch| epoch.optimizer_nano_usd.is_some()), "{spend:?}");
}

#[test]
fn a_page_asks_for_nothing_and_runs_nothing() {
    let (_folder, run) = trained();
    let html = ReportPage::of(&run).unwrap().to_html();
    assert!(html.contains("default-src 'none'"), "no policy");
    for address in ["src=", "href=", "url(", "@import", "onload", "javascript:"] {
        let outside_of_data = html.split("<script type=\"application/json\"").next().unwrap();
        assert!(!outside_of_data.contains(address), "the page holds {address}");
    }
    assert_eq!(html.matches("<script").count(), 1);
}

#[test]
fn words_of_others_stay_words() {
    let (_folder, run) = trained();
    let hostile = "</script></style></pre><img src=x onerror=alert(1)><!--\u{202e}\u{7}&lt;'\"";
    let journal = run.path().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let escaped = serde_json::to_string(hostile).unwrap();
    let escaped = &escaped[1..escaped.len() - 1];
    let hostile_text = text
        .replace("the mean score is higher", escaped)
        .replace("\"action\":\"revise_function\"", &format!("\"action\":\"{escaped}\""))
        .replace("\"action\":\"revise\"", &format!("\"action\":\"{escaped}\""))
        .replace("\"split\":\"train\"", &format!("\"split\":\"{escaped}\""));
    assert_ne!(hostile_text, text);
    std::fs::write(&journal, hostile_text).unwrap();
    let page = ReportPage::of(&run).unwrap();
    assert!(
        page.report.epochs.iter().any(|epoch| epoch.decision.as_ref().is_some_and(|it| it.reason.starts_with(hostile)))
    );
    let html = page.to_html();
    assert_eq!(html.matches("<img").count() + html.matches("<!--").count(), 0);
    assert_eq!(html.matches("</script>").count(), 1, "the data ends once");
    assert!(!html.contains(['\u{202e}', '\u{7}']), "a hidden character is left");
    assert!(html.contains("\\u{202e}\\u{7}&amp;lt;"), "what is hidden is spelt out");
    assert_eq!(embedded(&html), serde_json::to_value(&page).unwrap(), "the data is what was there");
}

#[test]
fn huge_words_are_cut_and_say_so() {
    let (_folder, run) = trained();
    let journal = run.path().join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replace("the mean score is higher", &"no".repeat(5_000_000))).unwrap();
    let html = ReportPage::of(&run).unwrap().to_html();
    assert!(html.contains("characters left out"), "nothing says that a text was cut");
    assert!(html.len() < 300_000, "the page has {} bytes", html.len());
}

#[test]
fn a_run_without_settings_and_sets_still_has_a_page() {
    let (_folder, run) = trained();
    std::fs::write(run.path().join("manifest.json"), "{").unwrap();
    std::fs::remove_dir_all(run.path().join("sets")).unwrap();
    let page = ReportPage::of(&run).unwrap();
    assert_eq!((page.manifest.is_none(), page.sources.is_empty()), (true, true));
    let html = page.to_html();
    assert!(html.contains("the description of the run is left out"), "{:?}", page.report.warnings);
    let path = write_page(&run, None).unwrap();
    assert_eq!(path, run.path().join("report.html"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), html);
}

#[test]
fn a_run_that_was_stopped_says_so_and_how_it_goes_on() {
    let rules = [ASSISTANT, SILENT_OPTIMIZER];
    let folder = Folder::new("[training]\nepochs = 3", &rules);
    let run = folder.train(&["budget.max_calls=3"]).unwrap().folder;
    let html = ReportPage::of(&run).unwrap().to_html();
    assert!(html.contains("Stopped (budget_spent)") && html.contains("greensand resume"), "{html}");
}
