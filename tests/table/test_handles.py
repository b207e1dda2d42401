"""What a handle is asked for wrongly gets an error that says so."""

import copy
import pickle
from datetime import UTC, datetime

import pytest

import atomic_manifest as am
from tests.table.conftest import ids, rows


@pytest.mark.parametrize("version", ["0", 1.0, True, b"0", "2026-13-01"])
def test_a_version_that_is_no_number_and_no_time_is_refused(tmp_path, version):
    am.append(tmp_path / "t", rows(1))
    with pytest.raises(am.errors.DataError, match="version is a number, or a time"):
        am.Table.open(tmp_path / "t", version=version)


@pytest.mark.parametrize("moment", [datetime.min, datetime.min.replace(tzinfo=UTC)])
def test_the_first_moment_of_all_is_before_the_first_version(tmp_path, moment):
    am.append(tmp_path / "t", rows(1))
    with pytest.raises(am.errors.VersionNotFound, match="before the first commit"):
        am.Table.open(tmp_path / "t", version=moment)


@pytest.mark.parametrize("limit", [-1, 1.5, "1"])
def test_a_limit_that_is_no_number_of_versions_is_refused(table, limit):
    table.append(rows(1))
    with pytest.raises(am.errors.DataError, match="limit"):
        list(table.history(limit))


@pytest.mark.parametrize("commit", [None, 5, ""])
@pytest.mark.parametrize("settle", [False, True])
def test_resolving_what_names_no_commit_is_refused_and_commits_nothing(table, commit, settle):
    with pytest.raises(am.errors.DataError, match="commit is an id"):
        table.resolve(commit, settle=settle)
    assert table.refresh().version == 0


@pytest.mark.parametrize("leave", [pickle.dumps, copy.deepcopy])
def test_a_handle_says_why_it_cannot_leave_its_process(table, leave):
    with pytest.raises(TypeError, match="open the table there"):
        leave(table)


def test_a_shallow_copy_is_the_same_handle(table):
    table.append(rows(1))
    assert ids(copy.copy(table)) == [1]
