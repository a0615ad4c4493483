"""Runs the tests of one exercise and writes results.json, version 2.

The tests run in a process of their own (see suite.py), which writes each step
to a journal. So there is a report even if the submission exits, crashes or
overflows the stack.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = Path(__file__).with_name("suite.py")


def main(slug, source, target):
    source, target = Path(source).resolve(), Path(target).resolve()
    test_file = source / f"{slug.replace('-', '_')}_test.py"
    if test_file.is_file():
        events, exit_code = run_suite(test_file)
        report = summarize(events, exit_code)
    else:
        report = error(f"There is no {test_file.name} beside the solution.")
    write(target / "results.json", report)


def run_suite(test_file):
    """Returns the journal of a test run, and how its process ended."""
    # A file, not a pipe: a process left behind by the submission could hold a
    # pipe open forever.
    with tempfile.TemporaryFile() as journal:
        ended = subprocess.run(
            [sys.executable, "-B", SUITE, test_file, str(journal.fileno())],
            cwd=test_file.parent,
            stdin=subprocess.DEVNULL,
            pass_fds=[journal.fileno()],
            check=False,
        )
        journal.seek(0)
        return [json.loads(line) for line in journal if line.endswith(b"\n")], ended.returncode


def summarize(events, exit_code):
    """Makes the report from a journal."""
    planned, running, finished = None, None, {}
    for event in events:
        if event["event"] == "broken":
            return error(event["message"])
        if event["event"] == "plan":
            planned = event["tests"]
        elif event["event"] == "start":
            running = event["test"]
        elif event["event"] == "end":
            finished[event["test"]] = event["outcome"]
            running = None

    how = describe_exit(exit_code)
    if planned is None:
        return error(f"The tests could not be loaded: the process {how}.")
    if not planned:
        return error("The test file holds no tests.")

    tests = []
    for number, test in enumerate(planned):
        outcome = finished.get(number)
        if outcome is None:
            reason = "in this test" if number == running else "before this test"
            outcome = {"status": "error", "message": f"The process {how} {reason}.", "output": None}
        tests.append({**test, **outcome})
    passed = all(test["status"] == "pass" for test in tests)
    return {"version": 2, "status": "pass" if passed else "fail", "message": None, "tests": tests}


def describe_exit(code):
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def error(message):
    return {"version": 2, "status": "error", "message": message, "tests": []}


def write(path, report):
    # The file is renamed into place, so it is whole or absent, and a link left
    # there by the submission is replaced, not followed.
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
    os.chmod(draft, 0o644)
    os.replace(draft, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
