"""The two kinds of error: trying again may help, or never will.

A failure carries its kind with it; the number that the caller sees is chosen at
the edge, in `supervise.command`.  When in doubt, an error is temporary.
"""

import errno

TEMPORARY = 111
PERMANENT = 100

# A table for bytes.translate: what came from outside, as a line about it may quote it.
PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))

# The words of the original daemontools and qmail, which scripts have learned to read.
WORDS = {
    errno.EPERM: b"permission denied",
    errno.ENOENT: b"file does not exist",
    errno.EINTR: b"interrupted system call",
    errno.EIO: b"input/output error",
    errno.ENXIO: b"device not configured",
    errno.E2BIG: b"argument list too long",
    errno.ENOEXEC: b"exec format error",
    errno.EBADF: b"file descriptor not open",
    errno.ECHILD: b"no child processes",
    errno.EAGAIN: b"temporary failure",
    errno.ENOMEM: b"out of memory",
    errno.EACCES: b"access denied",
    errno.EFAULT: b"bad address",
    errno.EEXIST: b"file already exists",
    errno.EXDEV: b"cross-device link",
    errno.ENOTDIR: b"not a directory",
    errno.EISDIR: b"is a directory",
    errno.EINVAL: b"invalid argument",
    errno.ENFILE: b"system cannot open more files",
    errno.EMFILE: b"process cannot open more files",
    errno.ETXTBSY: b"text busy",
    errno.EFBIG: b"file too big",
    errno.ENOSPC: b"out of disk space",
    errno.ESPIPE: b"unseekable descriptor",
    errno.EROFS: b"read-only file system",
    errno.EMLINK: b"too many links",
    errno.EPIPE: b"broken pipe",
    errno.ENAMETOOLONG: b"file name too long",
    errno.ELOOP: b"symbolic link loop",
    errno.EDQUOT: b"disk quota exceeded",
    errno.ENOTSOCK: b"not a socket",
    errno.EPROTO: b"protocol error",
    errno.EADDRINUSE: b"address already used",
    errno.EADDRNOTAVAIL: b"address not available",
    errno.EAFNOSUPPORT: b"address family not supported",
    errno.ENETDOWN: b"network down",
    errno.ENETUNREACH: b"network unreachable",
    errno.ECONNABORTED: b"connection aborted",
    errno.ECONNRESET: b"connection reset",
    errno.ECONNREFUSED: b"connection refused",
    errno.ETIMEDOUT: b"timed out",
    errno.EHOSTDOWN: b"host down",
    errno.EHOSTUNREACH: b"host unreachable",
    errno.EALREADY: b"operation already in progress",
    errno.EINPROGRESS: b"operation in progress",
    errno.ENOBUFS: b"out of buffer space",
    errno.ENOTCONN: b"not connected",
    errno.ENXIO: b"device not configured",
    errno.ENOTBLK: b"not a block device",
    errno.EBUSY: b"device busy",
    errno.ENODEV: b"device does not support operation",
    errno.ENOTTY: b"not a tty",
    errno.EDOM: b"input out of range",
    errno.ERANGE: b"output out of range",
    errno.EDEADLK: b"operation would cause deadlock",
    errno.ENOSYS: b"system call not available",
    errno.ENOSTR: b"not a stream device",
    errno.ENOSR: b"out of stream resources",
    errno.ENONET: b"machine not on network",
    errno.EREMOTE: b"too many levels of remote in path",
    errno.ENOLINK: b"link severed",
    errno.ECOMM: b"communication error",
    errno.EBADMSG: b"bad message type",
    errno.EPROTOTYPE: b"incorrect protocol type",
    errno.ENETRESET: b"network reset",
    errno.EISCONN: b"already connected",
    errno.ESHUTDOWN: b"socket shut down",
    errno.ETOOMANYREFS: b"too many references",
    errno.ESTALE: b"stale NFS file handle",
}


def reason(error: OSError) -> bytes:
    """What the system says of *error*, in the words of the originals where they have any."""
    return WORDS.get(error.errno or 0) or (error.strerror or "unknown error").lower().encode()


PASSING = frozenset(
    (
        *(
            errno.EINTR,
            errno.ENOMEM,
            errno.ETXTBSY,
            errno.EIO,
            errno.ETIMEDOUT,
            errno.EAGAIN,
            errno.EDEADLK,
            errno.EBUSY,
        ),
        *(
            errno.ENFILE,
            errno.EMFILE,
            errno.EFBIG,
            errno.ENOSPC,
            errno.EDQUOT,
            errno.ESTALE,
            errno.ENOLCK,
            errno.ENOBUFS,
        ),
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.ECONNABORTED, errno.ECONNRESET, errno.ECONNREFUSED),
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETOOMANYREFS, errno.EUSERS),
    )
)


def passing(error: OSError) -> bool:
    """Whether *error* is about the state of the machine, so that the same call may succeed later."""
    return error.errno in PASSING


class Trouble(Exception):
    """Something went wrong and we can say what, in one line.

    Args:
        what: the line, without the program's name and without a line end.
        why: the system's error, whose words are put after *what*.
    """

    code = TEMPORARY

    def __init__(self, what: bytes = b"", why: OSError | None = None) -> None:
        super().__init__(what, why)
        self.line = what if why is None else what + b": " + reason(why)


class Temporary(Trouble):
    """Trying again later may help.  When in doubt, it is this one."""


class Permanent(Trouble):
    """Trying again will never help."""

    code = PERMANENT


class Usage(Permanent):
    """The command line is wrong; what is printed is the synopsis."""
