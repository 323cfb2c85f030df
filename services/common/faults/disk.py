"""Refusals of a disk, as Python and SQLite report it."""

import errno
import sqlite3
from pathlib import Path
from typing import Final

from services.common.faults.refusals import Fault

FULL: Final = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
IN_THE_WAY: Final = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
TOO_MANY: Final = (errno.EMFILE, errno.ENFILE)
# Several processes write the file, which takes locks and memory that they share.
_NOT_SHARED: Final = (
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_RDLOCK,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOLFS,
)
# A connection keeps what it knew of the file: with these a new one may find it mended.
_STALE: Final = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
)


def file_fault(exc: OSError, root: Path) -> Fault | None:
    """Return the fault of a file below the folder `root`."""
    where = exc.filename or root
    if exc.errno in FULL:
        return _full(root)
    if exc.errno in FORBIDDEN:
        return Fault(f"Give this user the right to read and write: ls -ld {where}; mount | grep 'ro,'", lasting=True)
    if exc.errno in IN_THE_WAY:  # lasting for this folder alone
        needed = "Something else lies where a file or a folder has to be"
        return Fault(f"{needed}: move what is there, or name another folder in the settings: ls -ld {where}")
    if exc.errno == errno.ENOENT:  # as every folder is made, the one around it is gone
        return Fault(f"The folder is gone: mount it again, or start from a folder that is there: ls -ld {root}")
    if exc.errno in TOO_MANY:
        return Fault("Let this process open more files: raise `ulimit -n`, or LimitNOFILE= of its service")
    return None


def sqlite_fault(exc: Exception, file: Path | None) -> Fault | None:
    """Return the fault of the database file, None for one that passes."""
    if getattr(exc, "sqlite_errorcode", 0) in _NOT_SHARED:
        cure = f"The file system of {file} has no locks or no shared memory, as network mounts often have none"
        return Fault(f"{cure}: set STUDIO_DATA_DIR to a folder on a disk of this machine: df -T {file}", lasting=True)
    match _code(exc):
        case sqlite3.SQLITE_FULL:
            reader = f"if {file}-wal is long, end the program that reads on and on: lsof {file}"
            return Fault(f"{_full(file).cure}; {reader}")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return Fault(_rights(file), lasting=True)
        case sqlite3.SQLITE_CANTOPEN:  # also where the disk is full, or a folder missing
            return Fault(f"{_rights(file)}; {_room(file and file.parent)}")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Fault(
                f"Stop the program and restore {file} from a backup, or save what can be read: "
                f"sqlite3 {file} .recover | sqlite3 saved.db",
                lasting=True,
            )
    return file_fault(exc, file or Path()) if isinstance(exc, OSError) else None


def moved_file(file: Path) -> Fault:
    """Return the fault of a file that is another one than was opened."""
    return Fault(
        f"Put the file back, or stop gateway and workers, delete {file}-wal and {file}-shm, and start them again",
        lasting=True,
    )


def is_stale(exc: Exception) -> bool:
    """Return whether a new connection to the file may not have this fault."""
    return _code(exc) in _STALE


def _rights(file: Path | None) -> str:
    return f"Give this user the right to write {file} and the folder it is in: ls -ld {file}*"


def _full(where: Path | None) -> Fault:
    return Fault(f"The disk is full, or may hold no more files: free some of it: {_room(where)}")


def _room(where: Path | None) -> str:
    return f"df -h {where}; df -i {where}"


def _code(exc: Exception) -> int:
    """Return SQLite's primary result code, 0 for any other error."""
    code: int = getattr(exc, "sqlite_errorcode", 0)
    return code & 0xFF
