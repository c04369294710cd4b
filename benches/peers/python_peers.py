"""Python peers of `f(a, b)`: one JSON line each. Run by `run.py`; every call is isolated from the one before it, as ours are."""
import json
import subprocess
import sys
import time

CALLS = int(sys.argv[1])
FUNCTION = "def f(a, b):\n    return a + b\n"
ENOUGH_SECONDS = 30


def measure(peer, isolation, call):
    """Times calls, of which each must answer 42."""
    try:
        for _ in range(3):
            assert call() == 42
        samples, until = [], time.monotonic() + ENOUGH_SECONDS
        while len(samples) < CALLS and time.monotonic() < until:
            started = time.perf_counter()
            answer = call()
            samples.append((time.perf_counter() - started) * 1e6)
            assert answer == 42
    except Exception as error:  # a peer that does not work is a finding, not a failure of the run
        reason = f"{type(error).__name__}: {error}"[:160]
        print(json.dumps({"peer": peer, "language": "python", "missing": reason}), flush=True)
        return
    samples.sort()
    at = lambda share: samples[min(int(len(samples) * share), len(samples) - 1)]
    row = {"peer": peer, "language": "python", "p50": at(0.5), "p99": at(0.99), "calls": len(samples), "isolation": isolation}
    print(json.dumps(row), flush=True)


def subprocess_call():
    code = FUNCTION + "import json, sys\na, b = json.load(sys.stdin)\nprint(json.dumps(f(a, b)))\n"
    done = subprocess.run([sys.executable, "-I", "-c", code], input="[20, 22]", capture_output=True, text=True, timeout=2)
    return json.loads(done.stdout)


def pyeryx_call():
    import eryx

    code = FUNCTION + "import json\na, b = json.loads('[20, 22]')\nprint(json.dumps(f(a, b)))\n"
    return json.loads(eryx.Sandbox().execute(code).stdout)


def exec_call():
    namespace = {}
    exec(FUNCTION, namespace)
    return json.loads(json.dumps(namespace["f"](*json.loads("[20, 22]"))))


measure("exec in this process", "none at all", exec_call)
measure("pyeryx (new sandbox)", "wasm", pyeryx_call)
measure("python subprocess", "a process with the rights of its user", subprocess_call)
