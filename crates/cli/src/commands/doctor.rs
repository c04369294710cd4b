use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use greensand_app::doctor::{
    Finding, Grade, ModelRequests, Promise, Standing, Wall, examine_compilers, examine_images, examine_machine,
    examine_project, examine_walls, failed_finding,
};
use greensand_app::{Overrides, cache_dir, open_sandbox_with};
use serde::Serialize;

use super::common;
use crate::failure::{Ending, Failure};
use crate::terminal::{BAD, BOLD, DIM, GOOD, Terminal, WARN};
use crate::text;

/// Check this machine, the cache, and the models of a project; say what mends what fails.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// A project, whose models are asked for one short reply
    #[arg(value_name = "PROJECT")]
    project: Option<PathBuf>,

    /// The model of both roles, as `greensand train` takes it
    #[arg(long, value_name = "M", requires = "project")]
    model: Option<String>,

    /// The backend of both roles: openai_compatible, scripted or replay
    #[arg(long, value_name = "B", requires = "project")]
    backend: Option<String>,

    /// The endpoint of both roles
    #[arg(long, value_name = "U", requires = "project")]
    base_url: Option<String>,

    /// Shows which walls stand between functions and this machine, and nothing else
    #[arg(long, conflicts_with = "project")]
    security: bool,

    /// Asks no model for a reply
    #[arg(long)]
    offline: bool,

    /// Prints the findings as JSON
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
The exit code is 1 when something that is needed does not work, or when a wall is missing that is promised.
`SECURITY.md` says what is promised, and what is not.

Examples:
  greensand doctor
  greensand doctor --security
  greensand doctor my-agent
  greensand doctor my-agent --model gpt-4.1-mini
  greensand doctor my-agent --offline --json";

/// A finding, as it is written.
#[derive(Serialize)]
struct FindingLine<'a> {
    name: &'a str,
    grade: &'static str,
    detail: &'a str,
    remedy: Option<&'a str>,
}

/// A wall, as it is written.
#[derive(Serialize)]
struct WallLine<'a> {
    name: &'a str,
    standing: &'static str,
    promised: bool,
    found: &'a str,
    meaning: &'a str,
    remedy: Option<&'a str>,
}

pub(super) fn run(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    if arguments.security {
        return run_security(arguments, terminal);
    }
    let findings = findings(arguments)?;
    if arguments.json {
        let lines: Vec<_> = findings.iter().map(FindingLine::of).collect();
        common::write_json(&lines, terminal)?;
    } else {
        write(&findings, terminal)?;
    }
    let has_failed = findings.iter().any(|finding| finding.grade == Grade::Failed);
    Ok(if has_failed { Ending::No } else { Ending::Done })
}

/// Shows the walls, also where the sandbox refuses to open: one of them then says why.
fn run_security(arguments: &Arguments, terminal: &Terminal) -> Result<Ending, Failure> {
    let environment = common::environment()?;
    let cache_dir = cache_dir(&environment).map_err(|error| Failure::asked(error.to_string()))?;
    let walls = examine_walls(&cache_dir, open_sandbox_with(&environment, 1).ok().as_ref(), &environment);
    if arguments.json {
        let lines: Vec<_> = walls.iter().map(WallLine::of).collect();
        common::write_json(&lines, terminal)?;
    } else {
        write_walls(&walls, terminal)?;
    }
    let is_broken = walls.iter().any(Wall::breaks_promise);
    Ok(if is_broken { Ending::No } else { Ending::Done })
}

fn write_walls(walls: &[Wall], terminal: &Terminal) -> Result<(), Failure> {
    let mut out = terminal.out();
    let width = walls.iter().map(|wall| wall.name.chars().count()).max().unwrap_or(0);
    for promise in [Promise::Promised, Promise::Beyond] {
        let heading = match promise {
            Promise::Promised => "promised",
            Promise::Beyond => "beyond what is promised",
        };
        writeln!(out, "{BOLD}{heading}{BOLD:#}")?;
        for wall in walls.iter().filter(|wall| wall.promise == promise) {
            let style = match (wall.standing, promise) {
                (Standing::Stands, _) => GOOD,
                (Standing::Missing, Promise::Promised) => BAD,
                (Standing::Partly | Standing::Missing, _) => WARN,
                (Standing::Unknown, _) => DIM,
            };
            let Wall { name, standing, found, meaning, remedy, .. } = wall;
            writeln!(out, "  {style}{:<7}{style:#}  {name:<width$}  {}", standing.as_str(), text::line(found))?;
            writeln!(out, "  {:<7}  {:<width$}  {DIM}{meaning}{DIM:#}", "", "")?;
            if let Some(remedy) = remedy {
                writeln!(out, "  {:<7}  {:<width$}  {BOLD}mend it{BOLD:#}: {}", "", "", text::line(remedy))?;
            }
        }
    }
    Ok(out.flush()?)
}

fn findings(arguments: &Arguments) -> Result<Vec<Finding>, Failure> {
    let environment = common::environment()?;
    let cache_dir = cache_dir(&environment).map_err(|error| Failure::asked(error.to_string()))?;
    let mut findings = examine_machine(&cache_dir);
    // Opening the sandbox makes the cache folder, so that it comes after looking at it.
    let sandbox = match open_sandbox_with(&environment, 1) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            findings.push(failed_finding("sandbox", &error));
            return Ok(findings);
        }
    };
    findings.extend(examine_images(&sandbox));
    findings.extend(examine_compilers(&sandbox));
    if let Some(project) = &arguments.project {
        let requests = if arguments.offline { ModelRequests::Denied } else { ModelRequests::Allowed };
        let overrides = overrides(arguments);
        let examined = examine_project(project, &overrides, &sandbox, requests, &environment);
        findings.extend(common::block_on(examined)?);
    }
    Ok(findings)
}

fn overrides(arguments: &Arguments) -> Overrides {
    let mut overrides = Overrides::new();
    if let Some(model) = &arguments.model {
        overrides.model(model);
    }
    if let Some(backend) = &arguments.backend {
        overrides.backend(backend);
    }
    if let Some(base_url) = &arguments.base_url {
        overrides.base_url(base_url);
    }
    overrides
}

fn write(findings: &[Finding], terminal: &Terminal) -> Result<(), Failure> {
    let mut out = terminal.out();
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    for finding in findings {
        let style = match finding.grade {
            Grade::Good => GOOD,
            Grade::Note => DIM,
            Grade::Warning => WARN,
            Grade::Failed => BAD,
        };
        let name = text::line(&finding.name);
        writeln!(
            out,
            "{style}{:<7}{style:#}  {name:<width$}  {}",
            finding.grade.as_str(),
            text::line(&finding.detail)
        )?;
        if let Some(remedy) = &finding.remedy {
            let what = if finding.grade == Grade::Failed { "mend it" } else { "to do" };
            writeln!(out, "{:<9}{:<width$}  {BOLD}{what}{BOLD:#}: {}", "", "", text::line(remedy))?;
        }
    }
    Ok(out.flush()?)
}

impl<'a> FindingLine<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            name: &finding.name,
            grade: finding.grade.as_str(),
            detail: &finding.detail,
            remedy: finding.remedy.as_deref(),
        }
    }
}

impl<'a> WallLine<'a> {
    fn of(wall: &'a Wall) -> Self {
        Self {
            name: &wall.name,
            standing: wall.standing.as_str(),
            promised: wall.promise == Promise::Promised,
            found: &wall.found,
            meaning: wall.meaning,
            remedy: wall.remedy.as_deref(),
        }
    }
}
