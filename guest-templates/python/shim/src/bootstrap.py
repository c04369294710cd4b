"""The Python side of the shim, run once while the image is made.

It installs the finder through which every import is served by the host, adapts the few modules that would
otherwise look for threads or processes, imports what most functions use, and leaves the functions at its end to the shim.
"""

import sys

import _greensand
from _frozen_importlib import ModuleSpec

LIBRARY = "/lib/python/"


class Library:
    """Finds and loads the modules of the standard library that the host holds."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        found = _greensand.module(name)
        if found is None:
            return None
        code, is_package = found
        file = LIBRARY + name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        spec = ModuleSpec(name, cls, origin=file, is_package=is_package)
        spec.loader_state = code
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(file.removesuffix("/__init__.py"))
        return spec

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        spec = module.__spec__
        code, spec.loader_state = spec.loader_state, None
        if code is None:  # importlib.reload
            code, _ = _greensand.module(spec.name)
        exec(code, module.__dict__)
        adapt = ADAPTERS.get(spec.name)
        if adapt is not None:
            adapt(module)

    @staticmethod
    def get_code(name):
        found = _greensand.module(name)
        return found and found[0]

    @staticmethod
    def get_source(name):
        return None


def no_processes(*args, **kwargs):
    """Stands in for everything that would start a process."""
    _greensand.refused("process")
    raise PermissionError(63, "processes are not available in the sandbox")


def adapt_os(module):
    names = (
        "execl execle execlp execlpe execv execve execvp execvpe fork forkpty kill popen posix_spawn "
        "posix_spawnp spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe system"
    )
    for name in names.split():
        setattr(module, name, no_processes)
    # Modules that see `fork` expect it.
    module.register_at_fork = lambda **kwargs: None


def adapt_subprocess(module):
    module.Popen._execute_child = no_processes
    # Popen complains about the platform before it gets that far.
    module._can_fork_exec = True


def adapt_asyncio(module):
    """Gives asyncio an event loop that needs no operating system: to wait is to sleep, on the call's clock."""
    from asyncio import base_events, unix_events

    class Timers:
        """In place of a selector: no file ever becomes ready."""

        def select(self, timeout):
            if timeout is None:
                raise RuntimeError("deadlock: every task waits for something that nothing will do")
            if timeout > 0:
                sleep(timeout)
            return ()

    class EventLoop(base_events.BaseEventLoop):
        _selector = Timers()

        def _process_events(self, event_list):
            pass

        def _write_to_self(self):
            pass

        def run_in_executor(self, executor, function, *args):
            """Runs the function at once: there are no threads."""
            future = self.create_future()
            try:
                future.set_result(function(*args))
            except Exception as error:
                future.set_exception(error)
            return future

        async def shutdown_default_executor(self, timeout=None):
            pass

        def add_signal_handler(self, *args):
            raise NotImplementedError("there are no signals in the sandbox")

    EventLoop.__module__ = "asyncio"
    EventLoop.__qualname__ = "EventLoop"
    unix_events._DefaultEventLoopPolicy._loop_factory = EventLoop
    for place in (module, unix_events):
        place.EventLoop = place.SelectorEventLoop = EventLoop


ADAPTERS = {"subprocess": adapt_subprocess, "asyncio": adapt_asyncio}

sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__name__ != "PathFinder"]
sys.meta_path.append(Library)
sys.path_hooks.clear()
sys.path_importer_cache.clear()

import os

adapt_os(os)

from time import sleep

# What functions use most, so that importing it costs a call nothing.
PRELOADED = """
abc array ast asyncio base64 bisect calendar cmath collections collections.abc contextlib copy csv dataclasses
datetime decimal difflib enum fractions functools gc graphlib hashlib heapq html inspect io ipaddress itertools json
logging math numbers operator os.path pprint queue random re secrets statistics string struct sys textwrap threading
time traceback types typing unicodedata urllib.parse uuid warnings weakref zlib
"""

for name in PRELOADED.split():
    __import__(name)

import ast
import asyncio
import inspect
import random
import warnings

# They would go to stderr at each call from source and at none from the compiled form.
warnings.simplefilter("ignore", SyntaxWarning)


# Seeds the generator behind the functions of `random`, as `random.seed(seed)` would.
seed_random = super(random.Random, random._inst).seed


def wait_for(awaitable):
    """Runs the event loop until the awaitable is done."""
    with asyncio.Runner(loop_factory=asyncio.EventLoop) as runner:
        return runner.run(awaitable)


def check_arguments(function, args, kwargs):
    """Says what is wrong with the arguments, or None. For callables that are not plain functions."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*args, **(kwargs or {}))
    except TypeError as error:
        return f"{getattr(function, '__name__', type(function).__name__)}(): {error}"
    return None


KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional_only",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional",
    inspect.Parameter.KEYWORD_ONLY: "named_only",
    inspect.Parameter.VAR_POSITIONAL: "rest",
    inspect.Parameter.VAR_KEYWORD: "named_rest",
}


def describe(function):
    """The parameters of a callable, as the contract words them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = [
            inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
            inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
        ]
    rest = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    described = [
        {
            "name": parameter.name,
            "kind": KINDS[parameter.kind],
            "required": parameter.default is inspect.Parameter.empty and parameter.kind not in rest,
        }
        for parameter in parameters
    ]
    doc = inspect.getdoc(function) if isinstance(function.__doc__, str) else None
    return {"parameters": described, "doc": (doc or "").strip().partition("\n")[0]}


def split_script(source):
    """Compiles a script in two parts: its statements, and its last expression or None."""
    tree = ast.parse(source, "<function>")
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = compile(ast.Expression(tree.body.pop().value), "<function>", "eval", dont_inherit=True)
    return compile(tree, "<function>", "exec", dont_inherit=True), last


for awaited in range(3):
    wait_for(asyncio.sleep(0))
