"""Runs pip as a program that starts no programs.

Looking wheels up and fetching them needs no other program; building a package from its source always does. pip can be led to a
source (a wheel may depend on an address), and what is built runs as the user: so it ends here.
"""

import runpy
import sys

STARTS = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
)


def refuse(event, arguments):
    # An OSError is what pip expects where a program of the system, such as `lsb_release`, is not there.
    if event in STARTS:
        raise PermissionError("greensand lets pip start no program")


sys.addaudithook(refuse)
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
