#!/usr/bin/env python3
"""Runs `f(a, b)` on Greensand and on the peers that install here, in one run, and prints p50, p99 and ratios.

    python3 benches/peers/run.py --greensand target/release/greensand [--calls 200] [--python python3.13] [--keep FOLDER]

Peers are installed into a temporary folder (or FOLDER, which is then used again) through pip and npm. A peer that does not
install, or does not run, is listed with its reason. Nothing but the standard library is needed.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NPM_PACKAGES = ["quickjs-emscripten", "isolated-vm"]
INSTALL_SECONDS = 900


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--greensand", required=True, help="the binary, built with --release")
    parser.add_argument("--calls", type=int, default=200, help="calls of each peer")
    parser.add_argument("--python", default=sys.executable, help="the interpreter for Python peers; pyeryx wants 3.12 or newer")
    parser.add_argument("--keep", help="install here, and find it again")
    options = parser.parse_args()
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="greensand-peers-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        rows, machine = ours(options.greensand)
        rows += python_peers(folder, options)
        rows += javascript_peers(folder, options)
        print(report(rows, machine))
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def ours(binary):
    """Measures Greensand by its own command, which makes images first if need be."""
    done = subprocess.run([binary, "bench", "--json", "--quiet"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("`greensand bench` failed, for the reason above")
    found = json.loads(done.stdout)
    numbers = {row["key"]: row for row in found["measurements"]}
    rows = []
    for language in ("python", "javascript", "typescript", "rust"):
        for way, name in (("prepared", "prepared, restored instance"), ("fresh", "prepared, new instance"),
                          ("from_source", "from source, new instance")):
            p50 = numbers.get(f"{language}.{way}.p50")
            if p50:
                p99 = numbers.get(f"{language}.{way}.p99", {}).get("value")
                rows.append({"peer": f"greensand ({name})", "language": language, "p50": p50["value"], "p99": p99,
                             "calls": p50["samples"], "isolation": "wasm, limits on time, memory and output"})
    return rows, found["machine"]


def python_peers(folder, options):
    environment = folder / "python"
    interpreter = environment / "bin" / "python3"
    wrong = None
    if not interpreter.exists():
        wrong = attempt([options.python, "-m", "venv", str(environment)])
    wrong = wrong or attempt([str(interpreter), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "pyeryx"])
    # What needs no package runs whether or not the package is there.
    runner = str(interpreter) if interpreter.exists() else options.python
    rows = lines_of([runner, str(HERE / "python_peers.py"), str(options.calls)], os.environ)
    for row in rows:
        if row["peer"].startswith("pyeryx") and "missing" in row and wrong:
            row["missing"] = wrong
    return rows


def javascript_peers(folder, options):
    if not shutil.which("node"):
        return [{"peer": "node and its packages", "language": "javascript", "missing": "there is no `node`"}]
    reasons = {}
    for package in NPM_PACKAGES:
        if not (folder / "node_modules" / package).exists():
            reasons[package] = attempt(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), package])
    script = folder / "javascript_peers.cjs"
    # Packages are found beside the script.
    shutil.copy(HERE / "javascript_peers.cjs", script)
    rows = lines_of(["node", "--no-node-snapshot", str(script), str(options.calls)], os.environ)
    for row in rows:
        reason = reasons.get(row["peer"].split(" ")[0])
        if "missing" in row and reason:
            row["missing"] = reason
    return rows


def attempt(command):
    """Runs a command; returns why it failed, if it did."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {type(error).__name__}"
    if done.returncode == 0:
        return None
    words = [line.strip() for line in done.stdout.splitlines() if "rror" in line]
    return f"does not install: {words[0][:160] if words else 'no reason given'}"


def lines_of(command, environment):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def report(rows, machine):
    best = {}
    for row in rows:
        if row["peer"].startswith("greensand (prepared, restored") and row.get("p50"):
            best[row["language"]] = row["p50"]
    out = [
        f"{datetime.date.today()}, {machine['processor']}, {machine['cores']} cores, kernel {machine['kernel']}, "
        f"load {machine['load_before']} before and {machine['load_after']} after our own part, "
        f"Python {platform.python_version()}, greensand {machine['version']} ({machine['build']})",
        "",
        "| language | what | p50, us | p99, us | to ours | calls | between the call and the machine |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row["language"], row.get("p50") or float("inf"))):
        if "missing" in row:
            out.append(f"| {row['language']} | {row['peer']} | | | | | not measured: {row['missing']} |")
            continue
        base = best.get(row["language"])
        ratio = f"{row['p50'] / base:.1f}" if base else ""
        p99 = f"{row['p99']:.0f}" if row.get("p99") else ""
        out.append(f"| {row['language']} | {row['peer']} | {row['p50']:.0f} | {p99} | {ratio} | {row['calls']} | {row['isolation']} |")
    return "\n".join(out)


if __name__ == "__main__":
    main()
