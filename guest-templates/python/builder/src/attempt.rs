//! Tries a function in the committed guest: `--try FILE ENTRY [ARGUMENTS]`.
//!
//! Snapshots and compiles the guest first, which takes some seconds. With `--try` alone, requests are read from standard
//! input as JSON lines and answered the same way, so that a script can try many; see [`Image::answer`].

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wasmtime::error::Context;
use wasmtime::{Engine, Linker, Module, Result, bail};

use crate::guest::{self, Grants, Guest, Host, Limits, Modules, Optimise, Reply, Request};
use crate::standard_library;

/// The guest, ready for fresh instances.
pub struct Image {
    engine: Engine,
    linker: Linker<Host>,
    module: Module,
    modules: Arc<Modules>,
}

pub fn run(folder: &Path, what: &[&str]) -> Result<()> {
    let image = Image::make(folder)?;
    guest::on_large_stack(|| match what {
        [] => image.serve(),
        [file, entry, arguments @ ..] => {
            let source = std::fs::read(file).with_context(|| format!("read `{file}`"))?;
            let arguments = arguments.first().copied().unwrap_or("[]");
            let request = json!({"source": String::from_utf8_lossy(&source), "entry": entry, "arguments": arguments});
            println!("{:#}", image.answer(&request));
            Ok(())
        }
        _ => bail!("usage: --try [FILE ENTRY [ARGUMENTS]]"),
    })
}

impl Image {
    pub fn make(folder: &Path) -> Result<Image> {
        let read = |name: &str| -> Result<Vec<u8>> {
            let path = folder.join(name);
            let compressed = std::fs::read(&path).with_context(|| format!("read `{}`", path.display()))?;
            Ok(zstd::decode_all(&compressed[..])?)
        };
        let modules = Arc::new(standard_library::unpack(&read(crate::LIBRARY)?)?);
        let wasm = read(crate::GUEST)?;
        let start = Instant::now();
        let snapshot = guest::snapshot(&wasm, modules.clone())?;
        let taken = start.elapsed();
        let engine = guest::engine(Optimise::Fully)?;
        let module = Module::new(&engine, &snapshot)?;
        let linker = guest::linker(&engine, &module)?;
        eprintln!("snapshot of {} bytes in {taken:.1?}, compiled in {:.1?}", snapshot.len(), start.elapsed() - taken);
        let ticking = engine.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(1));
                ticking.increment_epoch();
            }
        });
        Ok(Image { engine, linker, module, modules })
    }

    fn serve(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        for line in std::io::stdin().lock().lines() {
            let request: Value = serde_json::from_str(&line?)?;
            serde_json::to_writer(&mut out, &self.answer(&request))?;
            out.write_all(b"\n")?;
            out.flush()?;
        }
        Ok(())
    }

    /// Answers one request: `source`, `entry`, `arguments` (JSON text), and optionally `export`, `tagged`, `seed`,
    /// `compiled`, `repeat`, `wall_ms`, `memory_mb`, `max_result`, `dirty` (say how much memory the call dirtied), `files` (texts
    /// by name) and `functions` (each `{"ok": JSON}` or `{"failed": MESSAGE}`; `$` in the JSON stands for the arguments).
    pub fn answer(&self, line: &Value) -> Value {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        let number = |name: &str, default: u64| line[name].as_u64().unwrap_or(default);
        let limits = Limits {
            memory: (number("memory_mb", 128) as usize) << 20,
            wall: Duration::from_millis(number("wall_ms", 2000)),
            output: 64 << 10,
        };
        let mut request = Request {
            compiled: false,
            tagged: line["tagged"] == true,
            max_result: number("max_result", 1 << 20) as u32,
            seed: number("seed", 0),
            code: text("source").as_bytes(),
            entry: text("entry"),
            arguments: text("arguments"),
        };
        let compiled;
        if line["compiled"] == true {
            match self.once("gs_prepare", &request, limits, &Grants::default()).0 {
                Ok(Reply { kind: 0, payload, .. }) => compiled = payload,
                other => return self.describe(other, None, Duration::ZERO),
            }
            request.compiled = true;
            request.code = &compiled;
        }
        let grants = grants(line);
        let export = line["export"].as_str().unwrap_or("gs_invoke");
        let repeat = number("repeat", 1);
        let mut times: Vec<Duration> = Vec::new();
        let mut last = None;
        for _ in 0..repeat {
            let start = Instant::now();
            let done = self.once(export, &request, limits, &grants);
            times.push(start.elapsed());
            last = Some(done);
        }
        let Some((reply, guest)) = last else { return Value::Null };
        let dirty = guest.as_ref().filter(|_| line["dirty"] == true).and_then(|guest| dirty_kib(guest.memory_range()));
        times.sort();
        let mut answer = self.describe(reply, guest.as_ref(), times[times.len() / 2]);
        answer["dirty_kib"] = json!(dirty);
        if repeat > 1 {
            answer["min_us"] = json!(times[0].as_micros() as u64);
            answer["p99_us"] = json!(times[times.len() * 99 / 100].as_micros() as u64);
        }
        answer
    }

    fn once(
        &self,
        export: &str,
        request: &Request<'_>,
        limits: Limits,
        grants: &Grants,
    ) -> (Result<Reply>, Option<Guest>) {
        match Guest::new(&self.engine, &self.linker, &self.module, self.modules.clone(), limits) {
            Err(error) => (Err(error), None),
            Ok(mut guest) => {
                guest.grant(grants.clone());
                (guest.request(export, request), Some(guest))
            }
        }
    }

    fn describe(&self, reply: Result<Reply>, guest: Option<&Guest>, time: Duration) -> Value {
        let mut answer = match reply {
            Ok(reply) => json!({
                "kind": reply.kind,
                "flags": reply.flags,
                "message": reply.message,
                "payload": String::from_utf8_lossy(&reply.payload),
            }),
            Err(error) => json!({"trap": format!("{error:#}")}),
        };
        answer["us"] = json!(time.as_micros() as u64);
        if let Some(guest) = guest {
            answer["stdout"] = json!(String::from_utf8_lossy(&guest.host().output[0]));
            answer["stderr"] = json!(String::from_utf8_lossy(&guest.host().output[1]));
            answer["refused"] = json!(guest.host().refused);
            answer["memory"] = json!(guest.memory_size());
        }
        answer
    }
}

/// What a request grants.
fn grants(line: &Value) -> Grants {
    let members = |name: &str| line[name].as_object().cloned().unwrap_or_default().into_iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Grants {
        files: members("files").map(|(name, content)| (name, text(&content).into_bytes())).collect(),
        functions: members("functions")
            .map(|(name, answer)| match answer.get("failed") {
                Some(message) => (name, Err(text(message))),
                None => (name, Ok(text(&answer["ok"]))),
            })
            .collect(),
    }
}

/// Memory in a range of addresses that is no longer shared with the image, where the system says how much.
fn dirty_kib(range: std::ops::Range<usize>) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let (mut inside, mut sum) = (false, 0);
    for line in maps.lines() {
        let start = line.split_once('-').and_then(|(start, _)| usize::from_str_radix(start, 16).ok());
        if let Some(start) = start {
            inside = range.contains(&start);
        } else if inside && let Some(value) = line.strip_prefix("Anonymous:") {
            sum += value.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
        }
    }
    Some(sum)
}
