# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the programs of tests/proof/ share: what they try is tried name by name, each in a process and in
namespaces of its own, some at once; the results are added."""
import argparse
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import traceback


class Wrong(Exception):
    """What is wrong with one name, after which it cannot be tried further."""


class Result:
    """Of one name: what was counted, what was wrong, and what is worth a line."""

    def __init__(self):
        self.counts, self.notes, self.wrong = collections.Counter(), collections.Counter(), []


def try_one(name, options, attempt):
    result = Result()
    try:
        attempt(name, options, result)
    except (Wrong, RuntimeError) as error:
        result.wrong.append(f"{name}: {error}")
    except Exception:  # pylint: disable=broad-except # the others go on, and this one is wrong
        result.wrong.append(f"{name}: {traceback.format_exc()}")
    print(json.dumps([dict(result.counts), dict(result.notes), result.wrong]))
    return 0


def apart(name):
    """Try one name, in a process whose mounts and interfaces go with it."""
    ran = subprocess.run(["unshare", "--mount", "--net", "--kill-child", sys.argv[0], *sys.argv[1:], "--in", name],
                         stdout=subprocess.PIPE, text=True, check=False)  # fmt: skip
    try:
        return json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {}, {}, [f"{name}: it ended before its end, with {ran.returncode}"]


def main(noun, names, attempt, description, arguments=(), short=None):
    """A program: call attempt(name, options, result) for each name; at the end print "PROGRAM: 37 verbs, ..., 0
    wrong". `arguments` are those of the program's own, (name, options of add_argument); `short` are the names for
    --short, where they are fewer. Returns the exit status."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="what make test tries")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at once (default: one for each processor)")
    for argument, its in arguments:
        parser.add_argument(argument, **its)
    parser.add_argument("word", nargs="*", help="try only what has one of these words in its name")
    parser.add_argument("--in", dest="inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return try_one(options.inside, options, attempt)

    if options.short and short:
        names = short
    names = [name for name in names if not options.word or any(word in name for word in options.word)]
    counts, all_notes, wrongs = collections.Counter(), collections.Counter(), 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for its_counts, notes, wrong in pool.map(apart, names):
            for line in wrong:
                print("wrong:", line, flush=True)
            counts.update(its_counts)
            all_notes.update(notes)
            wrongs += len(wrong)
    for line, times in all_notes.items():
        print("note:", f"{times} times: {line}")
    told = [f"{len(names)} {noun}", *(f"{number} {what}" for what, number in counts.items()), f"{wrongs} wrong"]
    print(f"{os.path.basename(sys.argv[0])}: {', '.join(told)}")
    return int(wrongs > 0 or not names)
