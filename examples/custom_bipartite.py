"""Attack your own bipartite graph: any HeteroData with interactions as edges.

python examples/custom_bipartite.py
"""

import argparse
from pathlib import Path

import torch
from torch_geometric.data import HeteroData

import graphpoison as gp


def main() -> None:
    args = parse()
    data = club_memberships(people=60 if args.smoke else 300, clubs=40 if args.smoke else 120)

    # From here on: the eight lines for your own graph.
    kind = ("person", "joined", "club")
    task = gp.Recommendation(data, surrogate=gp.CF(dim=8), edge_type=kind)
    training = gp.Training(steps=30, lr=0.05, optimizer="adam")
    meta = gp.MetaAttack(training, flips_per_step=10, allow_removals=False)
    found = {"meta": meta(task, args.flips), "random": gp.RandomAttack()(task, args.flips)}
    poisoned = found["meta"].apply(data)
    report = gp.evaluate(data, found, [gp.CF(dim=8)], budgets=[0, args.flips // 2, args.flips])
    report.plot("auroc", path=args.out / "custom_bipartite.png")

    print(f"{data[kind].num_edges:,} edges before, {poisoned[kind].num_edges:,} after the attack")
    print(report.table.to_string(index=False, float_format="{:.4f}".format))
    print(f"wrote {args.out / 'custom_bipartite.png'}")


def club_memberships(people: int, clubs: int) -> HeteroData:
    """An example graph: people join clubs of their taste; a fifth of the edges is unseen."""
    draw = torch.Generator().manual_seed(0)
    taste, kind = (torch.randn(count, 3, generator=draw) for count in (people, clubs))
    liking = taste @ kind.t() + 0.5 * torch.randn(people, clubs, generator=draw)
    joined = (liking > 1.5).nonzero().t()
    unseen = torch.rand(joined.size(1), generator=draw) < 0.2
    data = HeteroData()
    data["person"].num_nodes = people
    data["club"].num_nodes = clubs
    data["person", "joined", "club"].edge_index = joined[:, ~unseen]
    data["person", "joined", "club"].unseen_edge_index = joined[:, unseen]
    return data


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=500, help="number of perturbations")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the figure")
    parser.add_argument("--smoke", action="store_true", help="a small graph, a few flips")
    args = parser.parse_args()
    if args.smoke:
        args.flips = 40
    return args


if __name__ == "__main__":
    main()
