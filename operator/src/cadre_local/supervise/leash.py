"""Start a program that dies with its supervisor: set the parent-death signal, drop privileges, exec.

Runs as a script of its own, before the program, because doing this between fork and exec of a threaded
process may deadlock. Arguments: parent pid, death signal, uid, gid (-1 = keep), command…
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Become the command; exits 1 when the supervisor died before the signal was armed."""
    parent, death_signal, uid, gid = (int(argument) for argument in argv[1:5])
    if gid >= 0:
        os.setgroups([])
        os.setgid(gid)
    if uid >= 0:
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(argv[5], argv[5:])  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main(sys.argv)
