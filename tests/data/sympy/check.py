"""Holds the functions against sympy outside of the sandbox: `python3 check.py`, or `--bless` to write what it finds.

These functions are ours. Run nothing else this way: functions of a model run in the sandbox alone.
"""

import json
import sys
from pathlib import Path

MARK = "#: "
ARROW = " -> "


def blocks(text):
    """Pairs of a header (without its mark) and a source, after the text before the first."""
    head, *rest = ("\n" + text).split("\n" + MARK)
    return head.removeprefix("\n"), [block.split("\n", 1) for block in rest]


def name_of(source):
    (name,) = [line[4 : line.index("(")] for line in source.splitlines() if line.startswith("def ")]
    return name


def main():
    path = Path(__file__).with_name("functions.py")
    head, found = blocks(path.read_text())
    written, wrong, names = [head], [], set()
    for header, source in found:
        arguments, _, expected = header.partition(ARROW)
        name, scope = name_of(source), {}
        if name in names:
            wrong.append(f"{name}: there are two of that name")
        names.add(name)
        try:
            exec(source, scope)
            value = json.dumps(scope[name](*json.loads(arguments)))
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
            value = expected
        if "--bless" not in sys.argv and value != expected:
            wrong.append(f"{name}: {value}, expected {expected}")
        written.append(f"{MARK}{arguments}{ARROW}{value}\n{source}")
    if "--bless" in sys.argv:
        path.write_text("\n".join(written))
    print(*wrong, f"{len(found)} functions, {len(wrong)} wrong", sep="\n")
    sys.exit(bool(wrong))


main()
