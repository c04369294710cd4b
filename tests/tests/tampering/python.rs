//! What Python can replace: modules, built-ins, hooks, and what a type says of itself.

use greensand_types::CallStatus::{Denied, Error, Invalid, Memory, Timeout};

use crate::{Attempt, check, ends, returns};

#[test]
fn python_does_not_lie_about_its_values() {
    check("python", values());
}

#[test]
fn python_does_not_lie_about_its_end() {
    check("python", endings());
}

fn values() -> Vec<Attempt> {
    vec![
        returns("modules are gone", "import sys\nsys.modules.clear()\ndef f():\n    return {'a': 1}\n", "{\"a\":1}"),
        returns("modules are replaced", "import sys\nsys.modules['json'] = sys.modules['builtins'] = None\ndef f(x):\n    return x\n", "[1.5]").with("[[1.5]]"),
        returns(
            "built-ins are replaced",
            "import builtins\nfor name in ('repr', 'str', 'len', 'dict', 'list', 'isinstance', 'type', 'int', 'print', 'sorted'):\n    setattr(builtins, name, None)\n\
             def f(x):\n    return {'a': x}\n",
            "{\"a\":[1]}",
        )
        .with("[[1]]"),
        returns("imports loop", "import builtins\ndef f():\n    builtins.__import__ = f\n    return 1\n", "1"),
        returns("encoders are replaced", "import json\njson.dumps = json.JSONEncoder.encode = lambda *_: '\"forged\"'\ndef f():\n    return [1]\n", "[1]"),
        returns("the entry is replaced", "import sys\ndef f():\n    return 1\nsys.modules[__name__].f = lambda: 2\n", "2"),
        returns("an integer with another text", "class I(int):\n    __str__ = __repr__ = __index__ = __int__ = lambda self: 7\ndef f():\n    return I(5)\n", "5"),
        returns("a text with another text", "class S(str):\n    __str__ = __repr__ = lambda self: 'forged'\n    def encode(self, *_):\n        return b'forged'\ndef f():\n    return S('a')\n", "\"a\""),
        returns("a float with another value", "class F(float):\n    __float__ = __repr__ = lambda self: 7.0\ndef f():\n    return F(5.5)\n", "5.5"),
        returns("a list with other elements", "class L(list):\n    __iter__ = lambda self: iter(['forged'])\n    __len__ = lambda self: 9\n    __getitem__ = lambda self, i: 'forged'\ndef f():\n    return L([1, 2])\n", "[1,2]"),
        returns("a dict with other items", "class D(dict):\n    __iter__ = keys = lambda self: iter(['forged'])\n    items = lambda self: [('forged', 1)]\n    __getitem__ = lambda self, k: 'forged'\ndef f():\n    return D(a=1)\n", "{\"a\":1}"),
        returns("an ordered dict with other keys", "from collections import OrderedDict\nclass D(OrderedDict):\n    __iter__ = keys = lambda self: iter(['b'])\ndef f():\n    return D(a=1, b=2)\n", "{\"a\":1,\"b\":2}"),
        ends("a key that is there twice",
            "class S(str):\n    __hash__ = lambda self: 7\n    __eq__ = lambda self, other: self is other\ndef f():\n    return {'a': 1, S('a'): 2}\n", Invalid, "twice"),
        ends("a type that says it is another", "class A:\n    __class__ = int\n    __int__ = __index__ = lambda self: 7\ndef f():\n    return A()\n", Invalid, "of type `A`"),
        ends("a type with a name of its own", "class M(type):\n    __name__ = property(lambda cls: 'int')\nclass A(metaclass=M):\n    pass\ndef f():\n    return A()\n", Invalid, "which JSON cannot hold"),
        ends("a generator", "def f():\n    yield 1\n", Invalid, "generator"),
        ends("an awaitable that never ends", "class A:\n    def __await__(self):\n        while True:\n            yield\ndef f():\n    return A()\n", Timeout, ""),
        returns("a tag of one's own", "def f():\n    return {'$type': 'set', '$items': []}\n", "{\"$type\":\"dict\",\"$entries\":[[\"$type\",\"set\"],[\"$items\",[]]]}").tagged(),
        returns("what is printed goes nowhere", "import sys\nclass W:\n    def write(self, text):\n        raise ValueError\n    flush = write\ndef f():\n    sys.stdout = W()\n    return 1\n", "1"),
        returns("collections of garbage fail", "import gc\ndef boom(*_):\n    raise ValueError\ndef f():\n    gc.callbacks.append(boom)\n    gc.collect()\n    return 1\n", "1"),
        returns("something fails at the end", "import atexit, sys\natexit.register(lambda: 1 / 0)\nclass D:\n    def __del__(self):\n        sys.exit(3)\ndef f():\n    D()\n    return 1\n", "1"),
    ]
}

fn endings() -> Vec<Attempt> {
    vec![
        ends(
            "the hook for errors is replaced",
            "import sys\nsys.excepthook = sys.unraisablehook = lambda *_: sys.exit(0)\ndef f():\n    raise ValueError('mine')\n",
            Error,
            "ValueError: mine",
        ),
        ends(
            "tracing fails",
            "import sys\ndef trace(*_):\n    raise KeyError('trace')\ndef f():\n    sys.settrace(trace)\n    g()\ndef g():\n    pass\n",
            Error,
            "KeyError",
        ),
        ends(
            "an error has no text",
            "class E(Exception):\n    def __str__(self):\n        raise TypeError\ndef f():\n    raise E\n",
            Error,
            "its text could not be made",
        ),
        ends(
            "an error has a text without end",
            "class E(Exception):\n    def __str__(self):\n        while True:\n            pass\ndef f():\n    raise E\n",
            Timeout,
            "",
        ),
        ends(
            "an error says that it is another",
            "class E(Exception):\n    __class__ = MemoryError\ndef f():\n    raise E('mine')\n",
            Error,
            "E: mine",
        ),
        ends("a lack of memory is raised", "def f():\n    raise MemoryError\n", Error, "MemoryError"),
        ends(
            "it is raised where it is caught",
            "def f():\n    try:\n        raise MemoryError\n    except MemoryError:\n        raise\n",
            Error,
            "MemoryError",
        ),
        ends(
            "it is thrown into a generator",
            "def g():\n    yield\ndef f():\n    it = g()\n    next(it)\n    it.throw(MemoryError())\n",
            Error,
            "MemoryError",
        ),
        ends(
            "it is thrown into a generator that delegates",
            "def g():\n    yield from h()\ndef h():\n    yield\ndef f():\n    it = g()\n    next(it)\n    it.throw(MemoryError())\n",
            Error,
            "MemoryError",
        ),
        ends(
            "it is thrown into a generator that has not begun",
            "def g():\n    yield\ndef f():\n    g().throw(MemoryError())\n",
            Error,
            "MemoryError",
        ),
        ends(
            "it is what a future gives",
            "import asyncio\nasync def f():\n    future = asyncio.get_running_loop().create_future()\n    future.set_exception(MemoryError())\n    await future\n",
            Error,
            "MemoryError",
        ),
        ends(
            "memory that is gone",
            "def f():\n    a = []\n    while True:\n        a.append(bytes(1 << 20))\n",
            Memory,
            "128 MiB",
        ),
        ends("memory that no address could name", "def f():\n    return [0] * 10 ** 9\n", Memory, "128 MiB"),
        ends(
            "a lack of memory was survived, and something else happened",
            "def f():\n    try:\n        [0] * 10 ** 9\n    except MemoryError:\n        raise ValueError('mine')\n",
            Error,
            "ValueError: mine",
        ),
        ends("a refusal is raised", "def f():\n    raise PermissionError(13, 'mine')\n", Error, "mine"),
        ends("a refusal", "def f():\n    open('/etc/passwd')\n", Denied, "filesystem"),
        ends("the interpreter is ended", "def f():\n    raise SystemExit(0)\n", Error, "ended the interpreter"),
        ends("the instance is ended", "import os\ndef f():\n    os._exit(0)\n", Error, ""),
        ends(
            "an end within a group",
            "def f():\n    raise BaseExceptionGroup('mine', [SystemExit(0)])\n",
            Error,
            "mine",
        ),
        ends(
            "code is replaced by what is none",
            "def f():\n    g.__code__ = g.__code__.replace(co_code=b'\\xff' * 64)\n    g()\ndef g():\n    pass\n",
            Error,
            "",
        ),
        ends(
            "the text of a result loops",
            "class A:\n    def __str__(self):\n        while True:\n            pass\ndef f():\n    return A()\n",
            Timeout,
            "",
        )
        .tagged(),
        ends(
            "a class of modules runs at the end",
            "import sys, types\nclass M(types.ModuleType):\n    f = property(lambda self: 1 / 0)\nsys.modules[__name__].__class__ = M\ndef g():\n    pass\n",
            Invalid,
            "f",
        ),
    ]
}
