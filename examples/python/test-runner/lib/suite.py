"""Runs one test file and writes each step to a journal, one JSON a line.

Usage: suite.py <test-file> <journal-descriptor>

    {"event": "plan", "tests": [{"name", "test_code"}]}
    {"event": "start", "test": 0}
    {"event": "end", "test": 0, "outcome": {"status", "message", "output"}}
    {"event": "broken", "message"}        the test file cannot even be loaded
"""

import contextlib
import importlib.util
import inspect
import io
import json
import os
import sys
import textwrap
import traceback
import unittest
from pathlib import Path

MAX_OUTPUT = 500  # characters per test, as the interface requires
MAX_MESSAGE = 2000  # characters


def main(test_file, descriptor):
    dir = str(test_file.parent)
    journal = Journal(descriptor)
    # Imports come from the submission's directory, not from this script's.
    sys.path[0] = dir
    try:
        tests = load(test_file)
    except BaseException as problem:  # a submission may raise anything at all
        journal.note("broken", message=explain(problem, dir))
        return
    journal.note("plan", tests=[describe(test) for test in tests])
    for number, test in enumerate(tests):
        journal.note("start", test=number)
        journal.note("end", test=number, outcome=run(test, dir))


class Journal:
    """Appends events, but not in a process that the submission forked."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._owner = os.getpid()

    def note(self, event, **fields):
        if os.getpid() == self._owner:
            os.write(self._descriptor, json.dumps({"event": event, **fields}).encode() + b"\n")


def load(test_file):
    """Returns the tests of a file, in file order."""
    spec = importlib.util.spec_from_file_location(test_file.stem, test_file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[test_file.stem] = module
    spec.loader.exec_module(module)
    return sorted(flatten(unittest.defaultTestLoader.loadTestsFromModule(module)), key=line_of)


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def method_of(test):
    return inspect.unwrap(getattr(type(test), test._testMethodName))


def line_of(test):
    return method_of(test).__code__.co_firstlineno


def describe(test):
    words = test._testMethodName.removeprefix("test").strip("_").replace("_", " ")
    return {"name": f"{type(test).__name__} > {words}", "test_code": body_of(method_of(test))}


def body_of(method):
    """Returns the source of a method's body."""
    lines, first = inspect.getsourcelines(method)
    # The first instruction has a line number; the constants have none.
    body = [line for _, _, line in method.__code__.co_lines() if line and line > first]
    return textwrap.dedent("".join(lines[min(body, default=first) - first :])).strip("\n")


def run(test, dir):
    output = Excerpt(MAX_OUTPUT)
    result = Outcome()
    # The student's output is what goes through sys.stdout. Other writes go to this
    # process's own standard output.
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            test.run(result)
        except BaseException as problem:  # unittest does not catch KeyboardInterrupt
            result.found("error", problem)
    problem = result.problem
    return {
        "status": result.status,
        "message": problem and (problem if isinstance(problem, str) else explain(problem, dir)),
        "output": output.text(),
    }


class Outcome(unittest.TestResult):
    """Keeps the first problem of a test."""

    def __init__(self):
        super().__init__()
        self.status, self.problem = "pass", None

    def found(self, status, problem):
        if self.status == "pass":
            self.status, self.problem = status, problem

    def addFailure(self, test, err):
        self.found("fail", err[1])

    def addError(self, test, err):
        self.found("error", err[1])

    def addSubTest(self, test, subtest, err):
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self.found("fail" if failed else "error", err[1])

    def addSkip(self, test, reason):
        self.found("fail", f"This test was skipped: {reason}")

    def addUnexpectedSuccess(self, test):
        self.found("fail", "This test was expected to fail, and passed.")


class Excerpt(io.TextIOBase):
    """Keeps the beginning of what is written."""

    NOTE = "\nOutput was truncated. Please limit to 500 chars"

    def __init__(self, limit):
        super().__init__()
        self._limit, self._kept, self._over = limit, "", False

    def writable(self):
        return True

    def write(self, text):
        room = self._limit - len(self._kept)
        self._kept += text[:room]
        self._over = self._over or len(text) > room
        return len(text)

    def text(self):
        if self._over:
            return self._kept[: self._limit - len(self.NOTE)] + self.NOTE
        return self._kept or None


def explain(problem, dir):
    """Formats an exception for a student, with only the submission's own lines."""
    try:
        text = "".join(traceback.format_exception_only(type(problem), problem)).strip()
        if not isinstance(problem, AssertionError):
            frames = traceback.extract_tb(problem.__traceback__)
            own = [frame for frame in frames if frame.filename.startswith(dir + os.sep)]
            where = "".join(traceback.format_list(own[-5:]))
            text = f"{text}\n\n{where}".strip()
    except BaseException:  # its __str__ may be the submission's code
        text = type(problem).__name__
    text = text.replace(dir + os.sep, "").removeprefix("AssertionError: ")
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + " ..."


if __name__ == "__main__":
    exit_code = 0
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        exit_code = 1
    # Do not wait for the submission's threads, and do not run its exit handlers.
    sys.__stdout__.flush()
    sys.__stderr__.flush()
    os._exit(exit_code)
