"""How long `senary merge` takes for the states of a large test, and how much memory.

The states are made by an example of `senary-output`, by the program's own writer. They take up to 6 GB in the folder for temporary
files.
"""
import os
import subprocess

from process import measured

STATES, METRICS = 100, 50
#: Values of each trend in each state: more than are kept exactly together, and as many as are kept.
ROWS = [("a million values each", 1_000_000), ("a million values of all states together", 10_000)]


def merge(b):
    maker = f"{os.path.dirname(b.binary)}/examples/states"
    if not os.path.exists(maker):
        print(f"  no {maker}: cargo build --release -p senary-output --example states")
        return
    for name, values in ROWS:
        folder = f"{b.folder}/states-{values}"
        os.mkdir(folder)
        subprocess.run([maker, folder, str(STATES), str(METRICS), str(values)], check=True, timeout=600)
        size = sum(entry.stat().st_size for entry in os.scandir(folder))
        cores = sorted(os.sched_getaffinity(0))[:2]
        runs = sorted(measured([b.binary, "merge", folder], cores=cores) for _ in range(b.runs))
        taken = runs[len(runs) // 2]
        print(
            f"  {STATES} states of {METRICS} trends, {name} ({size / 1e9:.1f} GB): {taken.seconds:.1f} s, {taken.cpu:.1f} s of CPU, "
            f"peak of {taken.peak / 1024:.0f} MiB"
        )
        for entry in os.scandir(folder):
            os.remove(entry.path)
