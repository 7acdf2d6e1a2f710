"""The filter of system calls for builds: what no compiler needs and kernels were broken by.

libseccomp knows the numbers on each processor and turns the rules into the program that the kernel runs.
Another architecture's calls than the machine code's own (a 64-bit program on a 32-bit system) kill who makes
them.
"""

import errno
import importlib
import tempfile
from typing import Any

# What no compiler needs.
_DENIED = (
    # Keys, tracing and other processes' memory.
    *(
        "add_key",
        "keyctl",
        "request_key",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "kcmp",
    ),
    # Interfaces with a history of holes.
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    # File systems, and files by other means than their names.
    *(
        "name_to_handle_at",
        "open_by_handle_at",
        "fanotify_init",
        "lookup_dcookie",
        "quotactl",
        "quotactl_fd",
        "mount",
        "umount",
        "umount2",
        "pivot_root",
        "chroot",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "mount_setattr",
    ),
    # Modules and other kernels.
    *("init_module", "finit_module", "delete_module", "create_module", "kexec_load", "kexec_file_load"),
    # The clock and the machine.
    *(
        "settimeofday",
        "clock_settime",
        "clock_settime64",
        "clock_adjtime",
        "clock_adjtime64",
        "adjtimex",
        "stime",
        "reboot",
        "swapon",
        "swapoff",
        "acct",
        "syslog",
        "sethostname",
        "setdomainname",
        "vhangup",
        "iopl",
        "ioperm",
        "nfsservctl",
    ),
    # Worlds in which a build would be root.
    *("unshare", "setns"),
    # Other faces of Linux, such as memory at foreseeable places; the warden has chosen the right one.
    "personality",
)
# What takes memory that belongs to no process, so that the watch of level `box` would not count it: files
# without a name, System V's segments when nobody has them mapped, and its queues, of half a GiB in all.
_IN_NOBODYS_TABLE = ("memfd_create", "shmget", "msgget")
# From linux/sched.h and asm-generic/ioctls.h: a user namespace of one's own, and typing for somebody else.
_CLONE_NEWUSER = 0x10000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
# What is left is what a build may open sockets of: AF_UNIX, AF_INET and AF_INET6.
_FAMILIES = (1, 2, 10)
_LAST_FAMILY = 64


class NoFilter(Exception):
    """There can be no filter here; the text says what to do."""


def program() -> bytes:
    """Return the filter as the kernel reads it; raises NoFilter."""
    try:
        # Not at the top: without the library, the module cannot even be imported.
        seccomp = importlib.import_module("pyseccomp")
    except (ImportError, RuntimeError) as error:
        raise NoFilter("libseccomp is not installed: apt install libseccomp2.") from error
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    _deny(rules, seccomp)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


# Any: pyseccomp's module and its filter, loaded above.
def _deny(rules: Any, seccomp: Any) -> None:
    """Add what is denied to the rules."""
    denied = seccomp.ERRNO(errno.EPERM)
    for name in _DENIED:
        rules.add_rule(denied, name)
    flags = seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_NEWUSER, _CLONE_NEWUSER)
    rules.add_rule(denied, "clone", flags)
    # Its flags are in memory, where a filter cannot look; everybody falls back to clone.
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    for name in _IN_NOBODYS_TABLE:
        # Whoever asks can do without, as on kernels that were made without them.
        rules.add_rule(seccomp.ERRNO(errno.ENOSYS), name)
    for request in (_TIOCSTI, _TIOCLINUX):
        # The kernel looks at the lower half of the argument alone.
        rules.add_rule(denied, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    for family in range(_LAST_FAMILY):
        if family not in _FAMILIES:
            unsupported = seccomp.ERRNO(errno.EAFNOSUPPORT)
            rules.add_rule(unsupported, "socket", seccomp.Arg(0, seccomp.EQ, family))
