"""Dense, slow and obvious meta-gradient poisoning attacks, for the fast library to be checked by.

Everything is plain autograd in float64: the inner training is unrolled into one graph and the
attack loss is differentiated through all of it. Nothing here imports ``graphpoison``.

Node classification: D. Zuegner and S. Guennemann, "Adversarial attacks on graph neural networks
via meta learning", ICLR 2019. Recommendation: Algorithm 1 of the thesis.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from torch import Tensor

Theta = tuple[Tensor, ...]
NodeLoss = Callable[[Tensor, Tensor], Tensor]
Start = Theta | Callable[[int], Theta]  # theta_0, or theta_0 as a function of the attack's step
Flip = tuple[int, int, bool, float, float]  # i, j, added, score, attack loss before the flip


# --- Inner training ---------------------------------------------------------------------------


def train_unrolled(
    loss: Callable[[Theta], Tensor],
    theta0: Theta,
    steps: int,
    lr: float,
    momentum: float = 0.0,
    optimizer: str = "sgd",
    weight_decay: float = 0.0,
    clip: float = float("inf"),
) -> Theta:
    """theta_T after `steps` full-batch updates, as a differentiable function of what `loss` uses.

    With h = d loss / d theta, |h| over all parameters, and
    g = min(1, clip / |h|) * h + weight_decay * theta:
      sgd:  v <- momentum * v + g;  theta <- theta - lr * v
      adam: m <- 0.9 m + 0.1 g;  v <- 0.999 v + 0.001 g^2;  m^ = m / (1 - 0.9^t);
            v^ = v / (1 - 0.999^t);  theta <- theta - lr * m^ / (sqrt(v^ + 1e-12) + 1e-8)
    """
    if optimizer not in ("sgd", "adam"):
        raise ValueError(f"unknown optimizer {optimizer!r}")
    beta1, beta2, eps, eps_root = 0.9, 0.999, 1e-8, 1e-12
    theta = tuple(p.detach().double().clone().requires_grad_() for p in theta0)
    first = [torch.zeros_like(p) for p in theta]  # sgd's v; adam's m
    second = [torch.zeros_like(p) for p in theta]  # adam's v
    for t in range(1, steps + 1):
        grads = torch.autograd.grad(loss(theta), theta, create_graph=True)
        norm = torch.cat([raw.flatten() for raw in grads]).norm()
        if norm > clip:
            grads = tuple(raw * clip / norm for raw in grads)
        updated = []
        for k, (p, raw) in enumerate(zip(theta, grads, strict=True)):
            g = raw + weight_decay * p
            if optimizer == "sgd":
                first[k] = momentum * first[k] + g
                updated.append(p - lr * first[k])
            else:
                first[k] = beta1 * first[k] + (1 - beta1) * g
                second[k] = beta2 * second[k] + (1 - beta2) * g * g
                m_hat = first[k] / (1 - beta1**t)
                v_hat = second[k] / (1 - beta2**t)
                updated.append(p - lr * m_hat / (torch.sqrt(v_hat + eps_root) + eps))
        theta = tuple(updated)
    return theta


def explicit_sum(
    train_loss: Callable[[Theta], Tensor], attack_loss: Callable[[Theta], Tensor], w: Tensor,
    theta0: Theta, steps: int, iterates: str, **inner: Any,
) -> Tensor:  # fmt: skip
    """sum_t of the partial derivative of L_atk(theta_t, w) w.r.t. w, every theta_t held fixed.

    iterates "before": t = 0, ..., T - 1 (thesis, Algorithm 3); "after": t = 1, ..., T.
    """
    total = torch.zeros_like(w)
    for t in range(steps) if iterates == "before" else range(1, steps + 1):
        theta = tuple(p.detach() for p in train_unrolled(train_loss, theta0, t, **inner))
        total += torch.autograd.grad(attack_loss(theta), w, allow_unused=True)[0]
    return total


def implicit_gradient(
    train_loss: Callable[[Theta], Tensor], attack_loss: Callable[[Theta], Tensor], w: Tensor,
    theta: Theta, weight_decay: float,
) -> Tensor:  # fmt: skip
    """dL_atk/dw - (dF/dw)^T (dF/dtheta)^-1 dL_atk/dtheta, F = dL_train/dtheta + weight_decay theta.

    At a `theta` where F = 0 this is the derivative of the attack loss of where training ends.
    """
    flat = torch.cat([p.detach().flatten() for p in theta]).requires_grad_()
    sizes = [p.numel() for p in theta]

    def shaped(vector: Tensor) -> Theta:
        return tuple(v.view_as(p) for v, p in zip(vector.split(sizes), theta, strict=True))

    (field,) = torch.autograd.grad(train_loss(shaped(flat)), flat, create_graph=True)
    rows = [torch.autograd.grad(entry, flat, retain_graph=True)[0] for entry in field]
    hessian = torch.stack(rows) + weight_decay * torch.eye(len(flat), dtype=flat.dtype)
    explicit, on_theta = torch.autograd.grad(attack_loss(shaped(flat)), (w, flat))
    v = torch.linalg.solve(hessian, on_theta)
    return explicit - torch.autograd.grad(field, w, v)[0]


# --- Node classification ----------------------------------------------------------------------


def pair_indices(num_nodes: int) -> tuple[Tensor, Tensor]:
    """i and j of the unordered pairs i < j, in row-major order."""
    i, j = torch.triu_indices(num_nodes, num_nodes, offset=1)
    return i, j


def adjacency_from_weights(w: Tensor, num_nodes: int) -> Tensor:
    """A with A_ij = A_ji = w_ij and A_ii = 0."""
    i, j = pair_indices(num_nodes)
    upper = torch.zeros(num_nodes, num_nodes, dtype=w.dtype).index_put((i, j), w)
    return upper + upper.T


def normalise(A: Tensor) -> Tensor:
    """A_hat = D^(-1/2) (A + I) D^(-1/2), where D holds the row sums of A + I."""
    with_loops = A + torch.eye(len(A), dtype=A.dtype)
    root = with_loops.sum(dim=1) ** -0.5
    return root[:, None] * with_loops * root[None, :]


def gcn_logits(model: str, A: Tensor, X: Tensor, theta: Theta) -> Tensor:
    """linear-gcn: A_hat A_hat X W1 W2.  relu-gcn: A_hat relu(A_hat X W1) W2.  sgc: A_hat^k X W."""
    A_hat, X = normalise(A.double()), X.double()
    if model.startswith("sgc"):
        hops = int(model.removeprefix("sgc") or 2)
        return torch.linalg.matrix_power(A_hat, hops) @ X @ theta[0]
    W1, W2 = theta
    if model == "linear-gcn":
        return A_hat @ A_hat @ X @ W1 @ W2
    if model == "relu-gcn":
        return A_hat @ torch.relu(A_hat @ X @ W1) @ W2
    raise ValueError(f"unknown model {model!r}")


def train_gcn(
    model: str, A: Tensor, X: Tensor, labels: Tensor, train_mask: Tensor, theta0: Theta,
    **inner: Any,
) -> Theta:  # fmt: skip
    """theta_T of the mean cross-entropy over the labelled nodes; `inner` as in train_unrolled."""

    def loss(theta: Theta) -> Tensor:
        return F.cross_entropy(gcn_logits(model, A, X, theta)[train_mask], labels[train_mask])

    return train_unrolled(loss, theta0, **inner)


def node_by_node(name: str) -> NodeLoss:
    """Losses of the attacker, a node at a time: the mean over all nodes."""

    def of_one(z: Tensor, y: int) -> Tensor:
        others = [z[c] for c in range(len(z)) if c != y]
        p = z.exp() / z.exp().sum()
        q = p.tolist()
        gap = max(q[c] for c in range(len(z)) if c != y) - q[y]
        margin = max(others) - z[y]
        return {
            "cross-entropy": -p[y].log(),
            "masked-cross-entropy": -p[y].log() if z[y] > max(others) else 0.0 * z[y],
            "tanh-margin": torch.tanh(margin),
            "half-tanh-margin": torch.tanh(0.5 * margin),
            "carlini-wagner": margin if margin < 0 else 0.0 * margin,
            "cost-aware": math.exp(-10.0 * gap**2) * -p[y].log(),
            "probability": -p[y],
        }[name]

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return sum(of_one(z, int(y)) for z, y in zip(logits, labels, strict=True)) / len(labels)

    return loss


def pseudo_labels_of(
    model: str, A: Tensor, X: Tensor, labels: Tensor, train_mask: Tensor, theta0: Theta,
    **inner: Any,
) -> Tensor:  # fmt: skip
    """argmax_c of logits(A; theta_T(A)), for every node; A is the clean graph."""
    theta = train_gcn(model, A, X, labels, train_mask, theta0, **inner)
    return gcn_logits(model, A, X, theta).argmax(dim=1)


def node_meta_gradient(
    model: str, A: Tensor, X: Tensor, labels: Tensor, train_mask: Tensor, theta0: Theta,
    objective: str = "train", pseudo_labels: Tensor | None = None, lam: float = 0.5,
    approximate: str | None = None, features: bool = False,
    others_loss: NodeLoss = F.cross_entropy, **inner: Any,
) -> tuple[float, Tensor]:  # fmt: skip
    """(L_atk, dL_atk/dw_ij for every pair i < j), where w_ij enters both A_ij and A_ji.

    With `features` it is (L_atk, dL_atk/dX [N, F]) instead.

    train: L_atk = CE of the labelled nodes with their labels, at theta_T(w) and A(w)
    self:  L_atk = CE of the other nodes with their pseudo-labels, at theta_T(w) and A(w);
           or another `others_loss`
    both:  L_atk = lam * train + (1 - lam) * self

    With `approximate` ("before" or "after") the gradient is the `explicit_sum` over training.
    """
    w = A.detach().double()[pair_indices(len(A))].clone().requires_grad_()
    A = adjacency_from_weights(w, len(X))
    X = X.detach().double().clone().requires_grad_()
    leaf = X if features else w
    weight = {"train": 1.0, "self": 0.0, "both": lam}[objective]

    def attack_loss(theta: Theta) -> Tensor:
        logits = gcn_logits(model, adjacency_from_weights(w, len(X)), X, theta)
        loss = weight * F.cross_entropy(logits[train_mask], labels[train_mask])
        if objective != "train":
            assert pseudo_labels is not None, "objectives self and both need pseudo-labels"
            others = others_loss(logits[~train_mask], pseudo_labels[~train_mask])
            loss = loss + (1 - weight) * others
        return loss

    def train_loss(theta: Theta) -> Tensor:
        return F.cross_entropy(gcn_logits(model, A, X, theta)[train_mask], labels[train_mask])

    loss = attack_loss(train_gcn(model, A, X, labels, train_mask, theta0, **inner))
    if approximate:
        A = A.detach()
        gradient = explicit_sum(
            train_loss, attack_loss, leaf, theta0, iterates=approximate, **inner
        )
    else:
        (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.item(), gradient


def metattack(
    model: str, A: Tensor, X: Tensor, labels: Tensor, train_mask: Tensor, theta0: Start,
    budget: int, objective: str = "train", lam: float = 0.5, allow_removals: bool = True,
    protect_singletons: bool = False, pseudo_labels: Tensor | None = None,
    allowed: Callable[[Tensor, Tensor], bool] | None = None,
    others_loss: NodeLoss = F.cross_entropy, **inner: Any,
) -> list[Flip]:  # fmt: skip
    """Greedily flip the pair of largest score (w_flipped - w_clean) * dL_atk/dw, `budget` times.

    w_flipped is 0 for an edge and 1 for what is none. With `allowed`, only flips with
    allowed(clean adjacency, adjacency after the flip).
    Pseudo-labels, unless given, come from the clean graph and theta0 (theta0(0) if a function).
    """
    i, j = pair_indices(len(A))
    w_clean = A.double()[i, j]
    w = w_clean.clone()
    change = torch.where(w_clean > 0, -w_clean, 1.0)
    if pseudo_labels is None and objective != "train":
        first = theta0(0) if callable(theta0) else theta0
        pseudo_labels = pseudo_labels_of(model, A, X, labels, train_mask, first, **inner)
    flips: list[Flip] = []
    for step in range(budget):
        start = theta0(step) if callable(theta0) else theta0
        current = adjacency_from_weights(w, len(A))
        loss, gradient = node_meta_gradient(
            model, current, X, labels, train_mask, start, objective, pseudo_labels, lam,
            others_loss=others_loss, **inner,
        )  # fmt: skip
        score = change * gradient
        score[w != w_clean] = -torch.inf
        if not allow_removals:
            score[w_clean > 0] = -torch.inf
        if protect_singletons:
            degree = (current > 0).sum(dim=1)
            score[(w > 0) & ((degree[i] == 1) | (degree[j] == 1))] = -torch.inf
        for k in range(len(score)) if allowed else ():
            if not allowed(A, flipped(current, int(i[k]), int(j[k]))):
                score[k] = -torch.inf
        chosen = best(score, 1)
        if not chosen:
            break
        k = chosen[0]
        w[k] += change[k]
        flips.append((int(i[k]), int(j[k]), bool(w[k] > 0), score[k].item(), loss))
    return flips


def metattack_with_features(
    model: str, A: Tensor, X: Tensor, labels: Tensor, train_mask: Tensor, theta0: Theta,
    budget: int, structure: bool = True, admissible: Tensor | None = None,
    objective: str = "train", lam: float = 0.5, **inner: Any,
) -> list[tuple[str, Flip]]:  # fmt: skip
    """Greedily make the best of all flips of pairs and of features, `budget` of them.

    The scores are (1 - 2 A_ij) * dL_atk/dw_ij and (1 - 2 X_if) * dL_atk/dX_if. No pair and no
    feature is flipped twice; without `structure` no pair is; with `admissible` [N, F] only those
    features are.
    """
    i, j = pair_indices(len(A))
    A, X, pseudo_labels = A.double().clone(), X.double().clone(), None
    if objective != "train":
        pseudo_labels = pseudo_labels_of(model, A, X, labels, train_mask, theta0, **inner)
    free_pairs = torch.full((len(i),), structure)
    free_features = torch.ones_like(X, dtype=torch.bool)
    if admissible is not None:
        free_features = admissible.clone()
    flips: list[tuple[str, Flip]] = []
    for _ in range(budget):
        problem = (model, A, X, labels, train_mask, theta0, objective, pseudo_labels, lam)
        loss, on_pairs = node_meta_gradient(*problem, **inner)
        loss, on_features = node_meta_gradient(*problem, features=True, **inner)
        pair_score = torch.where(free_pairs, (1 - 2 * A[i, j]) * on_pairs, -torch.inf)
        feature_score = torch.where(free_features, (1 - 2 * X) * on_features, -torch.inf)
        k, m = int(pair_score.argmax()), int(feature_score.argmax())
        if max(pair_score[k], feature_score.flatten()[m]) == -torch.inf:
            break
        if pair_score[k] >= feature_score.flatten()[m]:
            A = flipped(A, int(i[k]), int(j[k]))
            free_pairs[k] = False
            added = bool(A[i[k], j[k]] > 0)
            flips.append(("edge", (int(i[k]), int(j[k]), added, pair_score[k].item(), loss)))
        else:
            node, feature = divmod(m, X.shape[1])
            X[node, feature] = 1 - X[node, feature]
            free_features[node, feature] = False
            score = feature_score[node, feature].item()
            flip = (node, feature, bool(X[node, feature] > 0), score, loss)
            flips.append(("feature", flip))
    return flips


def cooccurrence_test(X: Tensor) -> Tensor:
    """Nettack's: i may come to u if sum_{j in S_u} E_ij / d_j > 1/2 sum_{j in S_u} 1 / d_j.

    E_ij = 1 if some node has i and j != i, d_j = sum_i E_ij, S_u = the features of u with d_j > 0.
    What u has may go.
    """
    N, D = X.shape
    E = [
        [any(X[u, i] and X[u, j] for u in range(N)) and i != j for j in range(D)] for i in range(D)
    ]
    d = [sum(E[i][j] for i in range(D)) for j in range(D)]
    allowed = X > 0
    for u in range(N):
        S = [j for j in range(D) if X[u, j] and d[j]]
        for i in range(D):
            reached = sum(1 / d[j] for j in S if E[i][j])
            allowed[u, i] |= reached > sum(1 / d[j] for j in S) / 2
    return allowed


def flipped(A: Tensor, i: int, j: int) -> Tensor:
    """A with A_ij and A_ji flipped."""
    A = A.clone()
    A[i, j] = A[j, i] = 0 if A[i, j] > 0 else 1
    return A


def degree_statistic(clean: Sequence[int], poisoned: Sequence[int], d_min: int) -> float:
    """Nettack's Lambda = -2 l(D0 u D1) + 2 (l(D0) + l(D1)), degrees below d_min left out.

    alpha = 1 + n / sum log(d / (d_min - 1/2));
    l = n log(alpha) + n alpha log(d_min) - (alpha + 1) sum log(d); 0 for n = 0.
    """

    def log_likelihood(degrees: list[int]) -> float:
        n = len(degrees)
        if n == 0:
            return 0.0
        alpha = 1 + n / sum(math.log(d / (d_min - 0.5)) for d in degrees)
        total = sum(math.log(d) for d in degrees)
        return n * math.log(alpha) + n * alpha * math.log(d_min) - (alpha + 1) * total

    D0, D1 = ([d for d in degrees if d >= d_min] for degrees in (clean, poisoned))
    return -2 * log_likelihood(D0 + D1) + 2 * (log_likelihood(D0) + log_likelihood(D1))


def reachable(A: Tensor) -> Tensor:
    """Which nodes a path joins: the entries above 0 of (A + I)^N."""
    joined = A > 0
    joined = joined | torch.eye(len(A), dtype=torch.bool)
    for _ in range(len(A)):
        joined = (joined.double() @ joined.double()) > 0
    return joined


def nearest_within_budget(p: Tensor, budget: int) -> Tensor:
    """The nearest point with entries in [0, 1] and a sum of at most `budget`."""

    def excess(mu: float) -> float:
        return float((p - mu).clamp(0, 1).sum()) - budget

    mu = brentq(excess, 0.0, float(p.max()), xtol=1e-14) if excess(0.0) > 0 else 0.0
    return (p - mu).clamp(0, 1)


def projected_gradient(
    model: str, A: Tensor, X: Tensor, labels: Tensor, train_mask: Tensor, theta0: Theta,
    budget: int, ascents: int, size: float, retrain: bool, **inner: Any,
) -> Tensor:  # fmt: skip
    """How far each pair i < j is flipped after so many `ascents`, each of `size` / sqrt(t).

    The loss is that of the labelled nodes; theta is that of the clean graph, or of the relaxed one
    before each step with `retrain`.
    """
    i, j = pair_indices(len(A))
    w = A.double()[i, j]
    p = torch.zeros_like(w)
    theta = train_gcn(model, A, X, labels, train_mask, theta0, **inner)
    for t in range(1, ascents + 1):
        if retrain:
            current = adjacency_from_weights(w + (1 - 2 * w) * p, len(A))
            theta = train_gcn(model, current, X, labels, train_mask, theta0, **inner)
        p = p.detach().requires_grad_()
        relaxed = adjacency_from_weights(w + (1 - 2 * w) * p, len(A))
        fixed = tuple(part.detach() for part in theta)
        logits = gcn_logits(model, relaxed, X, fixed)[train_mask]
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels[train_mask]), p)
        p = nearest_within_budget((p + size / t**0.5 * gradient).detach(), budget)
    return p


def best(score: Tensor, count: int) -> list[int]:
    """Up to `count` indices of the largest scores above -inf, descending; ties: lowest index."""
    assert not score.isnan().any()
    order = sorted(range(len(score)), key=lambda k: (-score[k].item(), k))
    return [k for k in order[:count] if score[k] != -torch.inf]


# --- Recommendation ---------------------------------------------------------------------------


def cf_scores(model: str, pairs: Tensor, theta: Theta, w: Tensor) -> Tensor:
    """Logits of `pairs` [2, E] with weights w; phi is relu, or what follows the model's name.

    cf:    s_ui = sum_d P_ud Q_id
    gmf:   s_ui = sum_d h_d P_ud Q_id
    tower: s_ui = tower(P_u * Q_i)           gmf with hidden layers
    mlp:   s_ui = tower([P_u, Q_i])          tower(x) = w . phi(W_L phi(... phi(W_1 x + b_1))) + b
    neumf: s_ui = gmf + mlp, each with embeddings of its own
    lightgcn-K: cf, of embeddings averaged over K propagations
    """
    (user, item), (model, _, activation) = pairs, model.partition("-")
    if model == "lightgcn":
        return cf_scores("cf", pairs, propagated(pairs, theta, w, int(activation)), w)
    P, Q = theta[0][user], theta[1][item]
    if model == "cf":
        return (P * Q).sum(dim=1)
    if model == "gmf":
        return (theta[2] * P * Q).sum(dim=1)
    if model == "neumf":
        mlp = cf_scores("mlp-" + activation, pairs, theta[3:], w)
        return cf_scores("gmf", pairs, theta[:3], w) + mlp
    phi = getattr(torch, activation or "relu")
    z = {"tower": P * Q, "mlp": torch.cat([P, Q], dim=1)}[model]
    *hidden, w, b = theta[2:]
    for k in range(0, len(hidden), 2):
        z = phi(z @ hidden[k] + hidden[k + 1])
    return (z @ w + b)[:, 0]


def propagated(pairs: Tensor, theta: Theta, w: Tensor, layers: int) -> Theta:
    """The mean of x, A_hat x, ..., A_hat^K x, with A_hat = D^(-1/2) A D^(-1/2) and x = [P; Q].

    A = [[0, W], [W^T, 0]]. Where all weights of a node are 0 its row and column of A_hat are 0.
    """
    P, Q = theta
    W = torch.zeros(len(P), len(Q), dtype=w.dtype).index_put(tuple(pairs), w)
    A = torch.cat(
        [
            torch.cat([torch.zeros(len(P), len(P), dtype=w.dtype), W], dim=1),
            torch.cat([W.T, torch.zeros(len(Q), len(Q), dtype=w.dtype)], dim=1),
        ]
    )
    root = torch.stack([d**-0.5 if d > 0 else torch.zeros_like(d) for d in A.sum(dim=1)])
    A_hat = root[:, None] * A * root[None, :]
    x = torch.cat([P, Q])
    total = x
    for _ in range(layers):
        x = A_hat @ x
        total = total + x
    mean = total / (layers + 1)
    return mean[: len(P)], mean[len(P) :]


def soft_bce(s: Tensor, w: Tensor) -> Tensor:
    """mean(softplus(s) - w s), with softplus(s) = -log sigmoid(-s)."""
    return (-F.logsigmoid(-s) - w * s).mean()


def soft_bpr(s: Tensor, w: Tensor, triples: Sequence[tuple[int, int]]) -> Tensor:
    """The mean of -log sigmoid(s_a - s_b) over the triples (a, b), weighted by w_a (1 - w_b)."""
    total, weights = torch.zeros(()).double(), torch.zeros(()).double()
    for a, b in triples:
        weight = w[a] * (1 - w[b])
        total = total - weight * F.logsigmoid(s[a] - s[b])
        weights = weights + weight
    return total / weights


def soft_softmax(s: Tensor, w: Tensor, slates: Sequence[tuple[int, Sequence[int]]]) -> Tensor:
    """The mean of log(e^s_a + sum_b (1 - w_b) e^s_b) - s_a over the slates (a, [b]), weighted by
    w_a."""
    total, weights = torch.zeros(()).double(), torch.zeros(()).double()
    for a, others in slates:
        odds = s[a].exp()
        for b in others:
            odds = odds + (1 - w[b]) * s[b].exp()
        total = total + w[a] * (odds.log() - s[a])
        weights = weights + w[a]
    return total / weights


def recommendation_meta_gradient(
    model: str, pairs: Tensor, w: Tensor, theta0: Theta, approximate: str | None = None,
    fixed_users: Tensor | None = None, masks: Sequence[Theta] = (),
    triples: Sequence[tuple[int, int]] = (),
    slates: Sequence[tuple[int, Sequence[int]]] = (), **inner: Any,
) -> tuple[float, Tensor]:  # fmt: skip
    """(L(theta_T(w), w), its gradient): L is soft_bce over all pairs, and what theta_T minimises.

    With triples L is soft_bpr, with slates soft_softmax.

    The gradient has the explicit part, through the labels in L, and the part through theta_T(w);
    with `approximate` ("before" or "after") it is the `explicit_sum` over training. `fixed_users`
    are rows of P below those of theta, which nothing trains. Masks, one set for each step, multiply
    theta in training, not in the attack loss.
    """
    w = w.detach().double().clone().requires_grad_()

    def loss(theta: Theta) -> Tensor:
        if fixed_users is not None:
            theta = (torch.cat([theta[0], fixed_users]), *theta[1:])
        s = cf_scores(model, pairs, theta, w)
        if slates:
            return soft_softmax(s, w, slates)
        return soft_bpr(s, w, triples) if triples else soft_bce(s, w)

    remaining = iter(masks)

    def train_loss(theta: Theta) -> Tensor:
        if masks:
            theta = tuple(p * m for p, m in zip(theta, next(remaining), strict=True))
        return loss(theta)

    attack_loss = loss(train_unrolled(train_loss, theta0, **inner))
    if approximate:
        gradient = explicit_sum(loss, loss, w, theta0, iterates=approximate, **inner)
    else:
        (gradient,) = torch.autograd.grad(attack_loss, w)
    return attack_loss.item(), gradient


def algorithm1(
    model: str, pairs: Tensor, w: Tensor, candidate_mask: Tensor, theta0: Start, budget: int,
    flips_per_step: int = 1, allow_removals: bool = True, **inner: Any,
) -> list[Flip]:  # fmt: skip
    """Thesis, Algorithm 1: flip the best candidates by (1 - 2 w_clean) * dL_atk/dw, retrain.

    `budget` counts flips, `flips_per_step` of them (fewer in the last step) from each training.
    """
    w_clean, w = w.double(), w.double().clone()
    flips: list[Flip] = []
    for step in range(-(-budget // flips_per_step)):
        start = theta0(step) if callable(theta0) else theta0
        loss, gradient = recommendation_meta_gradient(model, pairs, w, start, **inner)
        score = (1 - 2 * w_clean) * gradient
        score[(w != w_clean) | ~candidate_mask] = -torch.inf
        if not allow_removals:
            score[w_clean == 1] = -torch.inf
        chosen = best(score, min(flips_per_step, budget - len(flips)))
        if not chosen:
            break
        for k in chosen:
            w[k] = 1 - w[k]
            user, item = pairs[:, k].tolist()
            flips.append((user, item, bool(w[k] == 1), score[k].item(), loss))
    return flips


def k_core_rows(rows: list[tuple[int, int]], min_user: int, min_item: int) -> list[int]:
    """Places of the rows that stay when rows of rare users and items go, one row at a time."""
    kept = list(range(len(rows)))
    while True:
        for place in kept:
            user, item = rows[place]
            of_user = sum(rows[other][0] == user for other in kept)
            of_item = sum(rows[other][1] == item for other in kept)
            if of_user < min_user or of_item < min_item:
                kept.remove(place)
                break
        else:
            return kept
