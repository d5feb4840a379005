"""A program run to its end, and what it took."""
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple

#: Metrics of the summary, seconds of CPU, peak resident KiB, and what it logged.
Run = namedtuple("Run", "metrics cpu peak log")

#: Seconds, seconds of CPU, peak resident KiB, and what it wrote to standard error.
Taken = namedtuple("Taken", "seconds cpu peak log")


def measured(argv, env=None, cores=None):
    """Runs a program, on some cores only if they are given. One that fails ends the bench."""
    if cores:
        argv = ["taskset", "--cpu-list", ",".join(map(str, cores)), *argv]
    errors = tempfile.TemporaryFile()
    started = time.monotonic()
    program = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=errors)
    if cores:
        hurry(program.pid)
    peak = 0
    while not os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        # Not what wait4 tells: that counts the parent's memory from before the exec.
        peak = max(peak, peak_of(program.pid))
        time.sleep(0.02)
    seconds = time.monotonic() - started
    _, status, usage = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    errors.seek(0)
    log = errors.read().decode(errors="replace")
    if program.returncode != 0:
        sys.exit(f"{' '.join(argv)}: exit code {program.returncode}\n{log[-2000:]}")
    return Taken(seconds, usage.ru_utime + usage.ru_stime, peak, log)


def hurry(pid):
    """Lets a process go first, where that is allowed: what runs in between leaves cold caches behind."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -15)
    except PermissionError:
        pass


def beyond(without, costs):
    """What more something costs: in the least run of each, the lower quartile, and the median."""
    return [of(costs) - of(without) for of in (min, lower_quartile, statistics.median)]


def lower_quartile(values):
    return sorted(values)[len(values) // 4]


def peak_of(pid):
    try:
        with open(f"/proc/{pid}/status") as file:
            return int(next(line for line in file if line.startswith("VmHWM")).split()[1])
    except (OSError, StopIteration):
        return 0
