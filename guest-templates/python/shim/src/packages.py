"""The packages of an image, run once after `bootstrap.py` where the host has any.

It serves their modules (compiled when the image was made), shows their other files below `/lib/python`, so that
`open`, `importlib.resources` and `importlib.metadata` find them, and imports what the packages are called after.
"""

import json
import types
from contextlib import suppress

PACKAGES = json.loads(_greensand.content(":packages"))
FILES = {file for package in PACKAGES for file in package["files"]}
FOLDERS = {file[:at] for file in FILES for at, character in enumerate(file) if character == "/"}


class Packages:
    """Finds and loads the modules of packages; what the library has comes first."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        place = name.replace(".", "/")
        for file in (place + "/__init__.py", place + ".py"):
            if file in FILES:
                is_package = file.endswith("/__init__.py")
                spec = ModuleSpec(name, cls, origin=LIBRARY + file, is_package=is_package)
                spec.has_location = True
                if is_package:
                    spec.submodule_search_locations.append(LIBRARY + place)
                return spec
        if place in FOLDERS:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations.append(LIBRARY + place)
            return spec
        return None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        exec(code_of(module.__spec__.origin), module.__dict__)

    @classmethod
    def get_code(cls, name):
        spec = cls.find_spec(name)
        return spec and spec.origin and code_of(spec.origin)

    @staticmethod
    def get_source(name):
        return None

    @classmethod
    def is_package(cls, name):
        return name.replace(".", "/") in FOLDERS

    @staticmethod
    def get_data(path):
        content = None
        if path.startswith(LIBRARY) and path.removeprefix(LIBRARY) in FILES:
            content = _greensand.content("/" + path.removeprefix(LIBRARY))
        if content is None:
            raise FileNotFoundError(44, "No such file or directory", path)
        return content

    @classmethod
    def get_resource_reader(cls, name):
        from importlib.resources.readers import FileReader

        return FileReader(types.SimpleNamespace(path=LIBRARY + name.replace(".", "/") + "/__init__.py"))

    @staticmethod
    def find_distributions(context=None):
        from importlib.metadata import PathDistribution, Prepared
        from pathlib import Path

        wanted = Prepared(context.name if context else None)
        for folder in sorted(FOLDERS):
            stem, _, ending = folder.rpartition(".")
            if ending in ("dist-info", "egg-info") and "/" not in folder:
                name = Prepared.normalize(stem.partition("-")[0])
                if not wanted or name == wanted.normalized:
                    yield PathDistribution(Path(LIBRARY + folder))


def code_of(origin):
    """The code of a file: as it was compiled with the image, or compiled now."""
    content = _greensand.content("/" + origin.removeprefix(LIBRARY))
    if content[:1] in (b"\0", b"\1"):
        return marshal.loads(memoryview(content)[1:])
    return compile(content, origin, "exec", dont_inherit=True)


def no_foreign_functions(name):
    raise AttributeError(f"ctypes.{name} is not available in the sandbox")


def add_ctypes():
    """Packages that are pure Python still ask for the sizes of C's types, and nothing else."""
    stub = types.ModuleType("ctypes", "The sizes of C's types; nothing else of `ctypes` exists in the sandbox.")
    sizes = {"byte": 1, "char": 1, "short": 2, "int": 4, "long": 4, "longlong": 8, "size_t": 4, "ssize_t": 4}
    sizes |= {"ubyte": 1, "ushort": 2, "uint": 4, "ulong": 4, "ulonglong": 8, "float": 4, "double": 8, "void_p": 4}
    for name, size in sizes.items():
        setattr(stub, "c_" + name, type("c_" + name, (), {"_size": size}))
    stub.sizeof = lambda kind: kind._size
    stub.__getattr__ = no_foreign_functions
    sys.modules["ctypes"] = stub


def top_level(package):
    """The modules that are imported with the image: the one of the package's name, or else every public one."""
    folders = {file.split("/")[0] for file in package["files"] if file.endswith("/__init__.py") and file.count("/") == 1}
    modules = {file.removesuffix(".py") for file in package["files"] if file.endswith(".py") and "/" not in file}
    normal = package["name"].lower().replace("-", "_").replace(".", "_")
    named = [name for name in folders | modules if name.lower() == normal]
    public = [name for name in folders or modules if not name.startswith("_") and name.isidentifier()]
    return sorted(named or public)


# What is run once for a package whose first use fills caches that the image then holds.
WARM_UPS = {
    "sympy": """
from sympy import *
x, y = symbols("x y")
solve(x**2 - 5*x + 6, x), solve([x + y - 3, x - y - 1], [x, y]), simplify(sin(x)**2 + cos(x)**2)
diff(x**3*sin(x), x), integrate(x**2*exp(x), x), limit(sin(x)/x, x, 0), series(exp(x), x, 0, 4)
factor(x**3 - 1), expand((x + 1)**4), Matrix([[1, 2], [3, 4]]).inv(), factorint(360), Rational(1, 3) + 1
latex(sqrt(x)/2), str(pi.evalf(20)), lambdify(x, x**2)(2), sympify("2*x + 1").subs(x, 3), primerange(2, 50)
""",
}

import marshal

_greensand.show_files([file for file in FILES if not file.endswith(".py")])
sys.meta_path.append(Packages)
add_ctypes()

for package in PACKAGES:
    for name in top_level(package):
        __import__(name)

for package in PACKAGES:
    # Another version of the package may not have all that is used there, and does not need to.
    with suppress(Exception):
        exec(WARM_UPS.get(package["name"], ""), {"__name__": "warm_up"})
