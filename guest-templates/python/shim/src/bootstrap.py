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


def no_files(*args, **kwargs):
    """Stands in for what CPython for WASI pretends to do."""
    _greensand.refused("filesystem")
    raise PermissionError(2, "Permission denied")


def adapt_os(module):
    module.chmod = no_files
    names = (
        "execl execle execlp execlpe execv execve execvp execvpe fork forkpty kill popen posix_spawn posix_spawnp "
        "spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe system"
    )
    for name in names.split():
        setattr(module, name, no_processes)


def adapt_subprocess(module):
    module.Popen.__init__ = no_processes


def adapt_multiprocessing_context(module):
    names = (
        "Array Barrier BoundedSemaphore Condition Event JoinableQueue Lock Manager Pipe Pool Queue RLock RawArray "
        "RawValue Semaphore SimpleQueue Value"
    )
    for name in names.split():
        setattr(module.BaseContext, name, no_processes)


def adapt_multiprocessing_process(module):
    module.BaseProcess.start = no_processes


def adapt_futures(module):
    module.ProcessPoolExecutor = no_processes


def adapt_thread_pool(module):
    """There are no threads: a task of a pool runs at once, and its future is done when `submit` returns."""
    from concurrent.futures import Future

    def submit(self, function, /, *args, **kwargs):
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return run_at_once(Future(), function, *args, **kwargs)

    module.ThreadPoolExecutor.submit = submit


def run_at_once(future, function, *args, **kwargs):
    try:
        future.set_result(function(*args, **kwargs))
    except Exception as error:
        future.set_exception(error)
    return future


def adapt_tempfile(module):
    # Without a place to write, the search for one would fail with an error that does not say why.
    module.tempdir = "/"


def adapt_asyncio(module):
    """Gives asyncio an event loop that needs no operating system: to wait is to sleep, on the call's clock."""
    from asyncio import base_events, unix_events
    from time import sleep

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
        _make_subprocess_transport = no_processes

        def _process_events(self, event_list):
            pass

        def _write_to_self(self):
            pass

        def run_in_executor(self, executor, function, *args):
            """Runs the function at once: there are no threads."""
            return run_at_once(self.create_future(), function, *args)

        async def shutdown_default_executor(self, timeout=None):
            pass

    EventLoop.__module__ = "asyncio"
    EventLoop.__qualname__ = "EventLoop"
    unix_events._DefaultEventLoopPolicy._loop_factory = EventLoop
    for place in (module, unix_events):
        place.EventLoop = place.SelectorEventLoop = EventLoop


# What is done to a module of the library right after it was loaded.
ADAPTERS = {
    "asyncio": adapt_asyncio,
    "concurrent.futures": adapt_futures,
    "concurrent.futures.thread": adapt_thread_pool,
    "multiprocessing.context": adapt_multiprocessing_context,
    "multiprocessing.process": adapt_multiprocessing_process,
    "subprocess": adapt_subprocess,
    "tempfile": adapt_tempfile,
}

sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__name__ != "PathFinder"]
sys.meta_path.append(Library)
sys.path_hooks.clear()
sys.path_importer_cache.clear()

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
import os
import random
import types
import unicodedata
import warnings

# Only now: some modules expect more of a system that has `fork`.
adapt_os(os)

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


# These take the namespace of the frame that calls them, so the shim gives it to them.
EVALUATORS = (eval, exec)


def normalised(name):
    """Writes a name as the parser does."""
    return unicodedata.normalize("NFKC", name)


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


class CallError(Exception):
    """A granted function failed; the text says how."""


def call(name, /, *args, **kwargs):
    """Calls a function that this call was granted, with arguments by position or by name, and returns its result."""
    if args and kwargs:
        raise TypeError("a granted function takes its arguments by position or by name, not both")
    if not isinstance(name, str):
        raise TypeError(f"the name of a granted function is text, not {type(name).__name__}")
    status, reply = _greensand.call(name, kwargs or list(args))
    if status == 0:
        return reply
    if status == 1:
        raise CallError(reply)
    raise PermissionError(63, reply)


def add_greensand():
    """Makes the module by which a function reaches what it was granted."""
    module = types.ModuleType("greensand", "What this call was granted.")
    CallError.__module__ = call.__module__ = module.__name__
    module.CallError, module.call = CallError, call
    module.__all__ = ["CallError", "call"]
    sys.modules[module.__name__] = module


add_greensand()

for awaited in range(3):
    wait_for(asyncio.sleep(0))
