"""A study of 200 small runs on a local Ray cluster of two nodes, one of which is killed.

Needs ``pip install ray``. Checks that the table has each row exactly once and, with ``--compare``,
that a sweep without Ray has the same results.

    OMP_NUM_THREADS=1 python benchmarks/sweep_ray.py --out /tmp/sweep-ray
"""

import argparse
import shutil
import threading
import time
from pathlib import Path

import joblib
import pandas as pd
import ray
from ray.cluster_utils import Cluster
from ray.util.joblib import register_ray
from sweep import small_study

import graphpoison as gp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder, which is emptied")
    parser.add_argument("--seeds", type=int, default=40, help="a fifth of the number of runs")
    parser.add_argument("--compare", action="store_true", help="compare with a sweep without Ray")
    args = parser.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    rows, runs = args.out / "study" / "_rows", 5 * args.seeds
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address)
    register_ray()
    killed: list[int] = []

    def kill() -> None:
        """Kill the second node, without notice, when two fifths of the runs are done."""
        while len(list(rows.glob("*.json"))) < 2 * runs // 5:
            time.sleep(0.05)
        killed.append(len(list(rows.glob("*.json"))))
        cluster.remove_node(second, allow_graceful=False)

    threading.Thread(target=kill, daemon=True).start()
    study, began = small_study(args.seeds), time.perf_counter()
    with joblib.parallel_backend("ray", n_jobs=-1):
        frame = gp.sweep(study, args.out / "study", progress=True)
    print(f"{runs} runs: {time.perf_counter() - began:.1f} s; a node was killed after {killed}")
    ray.shutdown()
    cluster.shutdown()
    table = pd.read_parquet(args.out / "study")
    assert killed
    assert len(frame) == len(table) == table["run"].nunique() == runs, len(table)
    assert table["status"].eq("done").all(), table["error"].value_counts()
    print(f"{len(table)} rows, none twice, none failed")
    if args.compare:
        alone = gp.sweep(study, args.out / "alone")
        columns = ["run", "flips", "ndcg@10_unseen_clean", "ndcg@10_unseen_poisoned"]
        pd.testing.assert_frame_equal(frame[columns], alone[columns])
        print("the same results as without Ray")


if __name__ == "__main__":
    main()
