#!/usr/bin/env python3
"""How long other virtual users wait while one makes a call that takes long: a table of everything over 10 ms.

    bench/stalls.py [--bin target/release/senary] [--megabytes 10] [--rounds 3] [--only NAME;NAME]

One worker runs two virtual users: one makes the calls of stalls.js, the other sleeps for a millisecond again and again, and
tells when that took longer. Of several rounds the best counts, for other programs may have had the core.
"""
import argparse
import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def lines_of(arguments):
    """What the two virtual users say, until the first one is done."""
    flags = ["--quiet", "--log-format=raw", "--workers=1", "-e", f"MB={arguments.megabytes}", "-e", f"ROUNDS={arguments.rounds}"]
    if arguments.only:
        flags += ["-e", f"ONLY={arguments.only}"]
    argv = [arguments.bin, "run", *flags, f"{HERE}/stalls.js"]
    program = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in program.stderr:
        if line.strip() == "done":
            program.terminate()
            break
        if line.startswith("{"):
            yield json.loads(line)
        else:
            print(line, end="")
    program.wait()


def measure(arguments):
    """Of each call, by name: (milliseconds it took, milliseconds the other one waited, what it threw)."""
    calls, gaps = [], []
    for line in lines_of(arguments):
        (calls if "name" in line else gaps).append(line)
    best = {}
    for call in calls:
        waits = [gap["gap"] for gap in gaps if gap["end"] >= call["start"] and gap["at"] <= call["end"]]
        result = (max(waits, default=0), call["end"] - call["start"], call["thrown"])
        best[call["name"]] = min(best.get(call["name"], result), result)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release/senary")
    parser.add_argument("--megabytes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    print("| call | takes, ms | others wait, ms |\n| ---- | --: | --: |")
    for name, (wait, took, thrown) in measure(arguments).items():
        if took > 10 or wait > 10 or thrown or arguments.only:
            print(f"| {name}{f' ({thrown})' if thrown else ''} | {took} | {wait} |")


if __name__ == "__main__":
    main()
