"""Give a local file the name of an object, or take it away, and tell for certain what came of it.

Error semantics. Whatever fails before the name may exist raises: then nothing has changed. Once it may,
nothing is raised any more. A call that reports a failure may have done its work all the same (a reply of
a file server that is lost); whether it did is told by what is under the name then: the file just
written, and the call succeeded. Where that cannot be told, and where the name is there and could not be
made durable, the outcome is `Unanswered`.
"""

import errno
import os
import stat
from pathlib import Path

from atomic_manifest.errors import StoreError, StoreUnavailable, UnsupportedByStore
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Deleted,
    DeleteOutcome,
    Refused,
    Unanswered,
    WriteOutcome,
    Written,
)
from atomic_manifest.store.local_files import locked
from atomic_manifest.store.local_status import etag_of, meta_of, regular, tag_of
from atomic_manifest.store.local_syncs import Syncs

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}

_DECLINED = _NO_LINKS | {
    errno.EACCES,
    errno.EBUSY,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.EMFILE,
    errno.EMLINK,
    errno.ENAMETOOLONG,
    errno.ENFILE,
    errno.ENOENT,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EROFS,
    errno.EXDEV,
}
"""An answer: no request for the change is on its way any more. All other errors may be of a lost reply."""


def give_name(
    path: str,
    file: Path,
    temporary: Path,
    written: os.stat_result,
    when: Condition | None,
    syncs: Syncs,
) -> WriteOutcome:
    """Give a sealed file the object's name, if the condition holds, and make that durable.

    Raises:
        OSError, StoreError: The file has certainly not got the name.
    """
    with syncs.naming(file) as sync:
        match when:
            case IfAbsent():
                outcome = _create(path, file, temporary, written)
            case None:
                outcome = _create_or_replace(path, file, temporary, written)
            case _:
                outcome = _replace(path, file, temporary, when)
        if isinstance(outcome, Written):
            try:
                sync()
            except OSError as error:
                return _unanswered(path, error)
    return outcome


def remove_name(path: str, file: Path, when: IfMatch | None, syncs: Syncs) -> DeleteOutcome:
    """Remove a file, if the condition holds, and make that durable.

    Raises:
        OSError: The file is certainly still there.
    """
    if regular(file) is None:
        return Deleted() if when is None else Refused()
    with syncs.removing(file) as sync:
        with locked(file.parent):
            current = etag_of(file)
            if when is not None and not when.satisfied_by(current):
                return Refused(current)
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                there = _is_there(file)
                if there is None or (there and error.errno not in _DECLINED):
                    return _unanswered(path, error)
                if there:
                    raise
        try:
            sync()
        except OSError as error:
            return _unanswered(path, error)
    return Deleted()


def _create_or_replace(
    path: str, file: Path, temporary: Path, written: os.stat_result
) -> WriteOutcome:
    """A new name needs no lock."""
    try:
        os.link(temporary, file)
    except OSError as error:  # it is there, or there are no links
        named = _is_named(file, written)
        if not named:
            try:
                return _replace(path, file, temporary, None)
            except OSError as failure:
                if named is None or error.errno not in _DECLINED:
                    return _unanswered(path, failure)
                raise
    return Written(meta_of(path, written))


def _create(path: str, file: Path, temporary: Path, written: os.stat_result) -> WriteOutcome:
    try:
        os.link(temporary, file)
    except OSError as error:
        named = _is_named(file, written)
        if named:
            return Written(meta_of(path, written))
        if named is None or error.errno not in _DECLINED:
            return _unanswered(path, error)
        if isinstance(error, FileExistsError):
            return _refused(path, file)
        if error.errno not in _NO_LINKS:
            raise
        raise UnsupportedByStore(
            f"{path}: create-if-absent needs hard links, which the file system below"
            f" {file.parent} does not offer ({error.strerror})",
            path=path,
        ) from error
    return Written(meta_of(path, written))


def _refused(path: str, file: Path) -> Refused:
    """The name is taken.

    Raises:
        StoreError: By something that is no object, so that nobody will ever read it.
    """
    try:
        current = regular(file)
        if current is not None:
            return Refused(tag_of(current))
        found = file.lstat()
    except OSError:
        return Refused()  # removed since, or nobody can tell: it was there
    what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file, nor a link to one"
    raise StoreError(f"{path} is {what}; remove it, and try again", path=path)


def _replace(path: str, file: Path, temporary: Path, when: IfMatch | None) -> WriteOutcome:
    with locked(file.parent):
        current = regular(file)
        if when is not None:
            etag = None if current is None else tag_of(current)
            if not when.satisfied_by(etag):
                return Refused(etag)
        written = temporary.stat()
        if current is not None and written.st_mtime_ns <= current.st_mtime_ns:
            os.utime(temporary, ns=(written.st_atime_ns, current.st_mtime_ns + 1))
            written = temporary.stat()
        try:
            temporary.replace(file)
        except OSError as error:
            named = _is_named(file, written)
            if named is None or (not named and error.errno not in _DECLINED):
                return _unanswered(path, error)
            if not named:
                raise
    return Written(meta_of(path, written))


def _is_named(file: Path, written: os.stat_result) -> bool | None:
    """Whether a name is that of the file just written; None if the system does not say."""
    try:
        return os.path.samestat(file.lstat(), written)
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _is_there(file: Path) -> bool | None:
    try:
        file.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return True


def _unanswered(path: str, error: OSError) -> Unanswered:
    cause = StoreUnavailable(f"{path}: {error.strerror or error}", path=path)
    cause.__cause__ = error
    return Unanswered(cause)
