"""CausalDiffRec: node vectors by an autoencoder and a diffusion whose risk is alike on edited graphs.

Reference:
    Zhao, Yang, Liang, Lan, Liu, Zhao, Guo, Wang: "Graph Representation Learning via Causal Diffusion for
    Out-of-Distribution Recommendation", WWW 2025.

With A the training graph of users and items, and features X of both::

    A_k                     K environments: A with cells flipped that a generator draws, each epoch
    z ~ q(z | A_k, X)       a variational graph autoencoder, two propagations over A_k
    e ~ q(e | z)            the environment that is inferred from a vector, against a learned prior
    z^ = f(z_t, t, e)       the denoiser, which predicts z from its noised z_t
    risk_k  = w_1 (|z^ - z|^2 by signal to noise + reconstruction of A_k by z^ + KL of z)
              + w_2 (reconstruction of z by e + KL of e)
    L       = mean of risk_k + w_3 variance of risk_k over k + BPR of LightGCN over z^ on A
    generator: REINFORCE, which raises the probability of drawn edits by that variance

The mean over all n^2 pairs of nodes with the weights of the graph autoencoder is one half of the mean over
edges plus one half of the mean over non-edges, so that pairs are drawn and no n x n array exists.

Longer than most files: the graphs, their generator and the model, one paper's.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions, degree_powers, scaled
from recbole_diffusion.diffusion import (
    GaussianDiffusion,
    ImportanceSteps,
    sinusoidal_embedding,
    uniform_steps,
)
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import WholeGraphModel
from recbole_diffusion.model.graph.options import CausalDiffRecOptions
from recbole_diffusion.model.propagation import SparseMatrix, mean_of_layers
from recbole_diffusion.model.user_blocks import noise_seed
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

FACTORS = 8  # width of the generator's scores
LOG_STD = -10.0, 2.0  # bounds of log deviations, beyond which exp would overflow


class Graph(nn.Module):
    """A graph of users and items, each joined to itself, normalised by degrees: D^-1/2 (A + I) D^-1/2.

    It stays out of checkpoints.

    Attributes:
        loops: the entries of the diagonal, users first, [n_users + n_items, 1].

    Args:
        keys: user * n_items + item of each edge, ascending, long [edges].
        n_users: number of user ids.
        n_items: number of item ids.
    """

    keys: Tensor
    loops: Tensor

    def __init__(self, keys: Tensor, n_users: int, n_items: int) -> None:
        super().__init__()
        users, items = np.divmod(keys.cpu().numpy(), n_items)
        # Degrees count the loop too.
        left, right = (
            degree_powers(np.bincount(side, minlength=size) + 1, -0.5)
            for side, size in ((users, n_users), (items, n_items))
        )
        values = (left[users] * right[items]).astype(np.float32)
        self.across = SparseMatrix(sp.csr_matrix((values, (users, items)), (n_users, n_items)))
        loops = torch.from_numpy(np.r_[left**2, right**2].astype(np.float32))
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("loops", loops[:, None], persistent=False)
        self.to(keys.device)

    def propagated(self, nodes: Tensor) -> Tensor:
        """Return the product with vectors of all nodes, [n_users + n_items, width]."""
        users, items = nodes.split(self.across.shape)
        return torch.cat([self.across(items), self.across.back(users)]) + self.loops * nodes


class EditGenerator(nn.Module):
    """Draws the cells that are flipped in each environment: node j draws i by softmax of a_i . c_j.

    The softmax runs over some nodes of the other side, drawn uniformly for each node, so that a draw costs
    n times those and not n^2.

    Args:
        n_users: number of user ids.
        n_items: number of item ids.
        environments: K.
    """

    def __init__(self, n_users: int, n_items: int, environments: int) -> None:
        super().__init__()
        self.sides = n_users, n_items
        shape = environments, n_users + n_items, FACTORS
        self.drawn, self.drawing = (nn.Parameter(torch.randn(shape) / FACTORS**0.5) for _ in range(2))

    def log_shares(self, k: int, nodes: Tensor, pool: Tensor) -> Tensor:
        """Return log softmax of nodes over their pools, [nodes, pool].

        Args:
            k: the environment.
            nodes: numbers of drawing nodes, users first, long [nodes].
            pool: numbers of the nodes that each may draw, long [nodes, pool].
        """
        scores = torch.einsum("nd,npd->np", self.drawing[k][nodes], F.embedding(pool, self.drawn[k]))
        return torch.log_softmax(scores, 1)

    @torch.no_grad()
    def draw(self, k: int, edits: int, candidates: int) -> tuple[Tensor, Tensor]:
        """Return each node's pool, long [n, candidates], and its draws as places in it, long [n, edits]."""
        n_users, n_items = self.sides
        device = self.drawn.device
        of_users = torch.randint(1, n_items, (n_users, candidates), device=device) + n_users
        of_items = torch.randint(1, n_users, (n_items, candidates), device=device)
        pool = torch.cat([of_users, of_items])
        shares = self.log_shares(k, torch.arange(len(pool), device=device), pool).exp()
        return pool, torch.multinomial(shares, edits, replacement=True)

    def edges(self, pool: Tensor, draws: Tensor) -> Tensor:
        """Return the drawn cells as user * n_items + item, ascending and each once, long [cells].

        Those that the padding ids draw are left out.
        """
        n_users, n_items = self.sides
        nodes = torch.arange(len(pool), device=pool.device)[:, None].expand_as(draws).reshape(-1)
        others = pool.gather(1, draws).reshape(-1)
        users, items = torch.minimum(nodes, others), torch.maximum(nodes, others) - n_users
        return torch.unique((users * n_items + items)[(users > 0) & (items > 0)])


class CausalDiffRec(WholeGraphModel):
    """Denoised vectors of users and items, trained to be as good on edited graphs as on the observed one.

    All of it is on the training graph. Differences from the authors' code are on the model's page.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    loss_names = ("bpr", "penalty", "risk", "variance", "generator")

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o: CausalDiffRecOptions = config.options
        self.options, self.seed = o, config.general.seed
        interactions = binary_interactions(dataset)
        self.positives = InteractionCSR.from_scipy(interactions)
        self.observed = Graph(self.positives.keys, self.n_users, self.n_items)
        self.lightgcn = SparseMatrix(scaled(interactions, 0.5, 0.5))
        d, hidden = o.embedding_size, o.hidden_size
        features = torch.relu(torch.randn(self.n_users + self.n_items, o.feature_size))
        # A parameter also where it stays: a run that begins with these weights keeps what known ids have.
        self.X = nn.Parameter(features, requires_grad=o.features == "trained")
        self.first = nn.Linear(o.feature_size, hidden, bias=False)
        self.heads = nn.Linear(hidden, 2 * d, bias=False)
        self.inference = nn.Linear(d, 2 * d)
        self.reconstruction = nn.Linear(d, d)
        self.prior = nn.Parameter(torch.zeros(2 * d))  # mean and log deviation
        self.denoiser = nn.Sequential(nn.Linear(2 * d + o.time_size, hidden), nn.Tanh(), nn.Linear(hidden, d))
        self.diffusion = GaussianDiffusion(o.betas())
        self.steps = ImportanceSteps(o.steps)
        embedded = sinusoidal_embedding(torch.arange(o.steps), o.time_size)
        self.register_buffer("embedded_steps", embedded, persistent=False)
        self.generator = EditGenerator(self.n_users, self.n_items, o.environments)
        self.begin_epoch(0)
        self._forget()

    def begin_epoch(self, epoch: int) -> None:  # noqa: ARG002
        """Have the environments of the epoch drawn by its first batch."""
        self._environments: list[tuple[Graph, Tensor, Tensor]] = []

    def _drawn_environments(self) -> list[tuple[Graph, Tensor, Tensor]]:
        """Return graph, pools and draws of each environment of this epoch."""
        o = self.options
        for k in range(len(self._environments), o.environments):
            pool, draws = self.generator.draw(k, o.edits, o.candidates)
            keys, times = torch.unique(
                torch.cat([self.positives.keys, self.generator.edges(pool, draws)]), return_counts=True
            )
            # What is in one of the two: an edge that is drawn goes, a cell without one gets one.
            graph = Graph(keys[times == 1], self.n_users, self.n_items)
            self._environments.append((graph, pool.int(), draws))
        return self._environments

    # The parts of the model.

    def encoded(self, graph: Graph, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log deviation of z of all nodes, [n_users + n_items, d] each.

        Args:
            graph: which is propagated over.
            inputs: the features times the first weights, alike for all graphs, [n_users + n_items, hidden].
        """
        hidden = torch.relu(graph.propagated(inputs))
        mean, log_std = self.heads(graph.propagated(hidden)).chunk(2, 1)
        return mean, log_std.clamp(*LOG_STD)

    def inferred(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log deviation of e for vectors z, [rows, d] each."""
        mean, log_std = self.inference(torch.relu(z)).chunk(2, 1)
        return mean, log_std.clamp(*LOG_STD)

    def denoised(self, noised: Tensor, t: Tensor, e: Tensor) -> Tensor:
        """Return z^ for noised vectors at steps t, long [rows], [rows, d]."""
        noised = F.dropout(noised, self.options.dropout_prob, self.training)
        return self.denoiser(torch.cat([noised, self.embedded_steps[t], e], 1))

    # Scores.

    @torch.no_grad()
    def _chain(self) -> Tensor:
        """Return the vectors of all nodes after the reverse chain along its means, [n_users + n_items, d]."""
        z, _ = self.encoded(self.observed, self.first(self.X))
        e, _ = self.inferred(z)
        generator = torch.Generator(z.device).manual_seed(noise_seed(self.seed, 0))
        noise = torch.randn(z.shape, generator=generator, device=z.device)
        last = torch.full((len(z),), self.options.steps - 1, device=z.device)
        found = self.diffusion.q_sample(z, last, noise)
        for _, x in self.diffusion.denoise(lambda xt, t: self.denoised(xt, t, e), found):
            found = x
        return found

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return LightGCN's user vectors [n_users, d] and item vectors [n_items, d] of the denoised nodes."""
        users, items = self._chain().split([self.n_users, self.n_items])
        return mean_of_layers(self.lightgcn, self.options.n_layers, users.contiguous(), items.contiguous())

    # Training.

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the ranking loss, its penalty, mean and variance of the risks, and the generator's loss.

        The generator's loss has the value 0 and its gradient: what it minimises is no loss of the model.
        """
        o, users, items = self.options, interaction[self.USER_ID], interaction[self.ITEM_ID]
        environments = self._drawn_environments()
        inputs = self.first(self.X)
        risks = torch.stack([self.risk(graph, inputs, len(users)) for graph, _, _ in environments])
        variance = risks.var()
        nodes = torch.unique(torch.cat([users, items + self.n_users]))
        log_p = torch.stack(
            [
                self.generator.log_shares(k, nodes, pool[nodes].long()).gather(1, draws[nodes]).mean()
                for k, (_, pool, draws) in enumerate(environments)
            ]
        )
        policy = policy_loss(variance, log_p)
        ranking, penalty = self.ranking(inputs, users, items)
        return ranking, penalty, risks.mean(), o.variance_weight * variance, policy - policy.detach()

    def risk(self, graph: Graph, inputs: Tensor, pairs: int) -> Tensor:
        """Return the risk on an environment, a scalar, by some of its edges and as many pairs without one."""
        o = self.options
        mean, log_std = self.encoded(graph, inputs)
        z = mean + torch.randn_like(mean) * log_std.exp()
        edges = graph.keys[torch.randint(len(graph.keys), (pairs,), device=z.device)]
        left, right, apart = self._pairs_apart(graph, pairs)
        ends = [edges // self.n_items, edges % self.n_items + self.n_users, left, right]
        z0 = F.embedding(torch.cat(ends), z)  # [4 pairs, d]
        of_e, log_std_e = self.inferred(z0)
        e = of_e + torch.randn_like(of_e) * log_std_e.exp()
        t, weight = self.steps.sample(len(z0))
        predicted = self.denoised(self.diffusion.q_sample(z0, t, torch.randn_like(z0)), t, e)
        errors = self.diffusion.snr_weight(t) * (predicted - z0).square().mean(1)  # [4 pairs]
        self.steps.update(t, errors.detach())
        u, v, a, b = predicted.chunk(4)
        structure = reconstruction((u * v).sum(1), (a * b).sum(1)[apart])
        # Of the nodes but the two padding ids; a sum over n nodes beside a mean over n^2 pairs.
        of_nodes = divergence(mean, log_std, torch.zeros_like(self.prior))
        of_nodes = torch.cat([of_nodes[1 : self.n_users], of_nodes[self.n_users + 1 :]])
        diffusion = (weight * errors).mean() + structure + of_nodes.mean() / len(of_nodes)
        inference = (self.reconstruction(torch.relu(e)) - z0).square().mean()
        inference = inference + divergence(of_e, log_std_e, self.prior).mean()
        return o.risk_weight * diffusion + o.inference_weight * inference

    def _pairs_apart(self, graph: Graph, pairs: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return two nodes of each pair drawn uniformly, long [pairs], and whether no edge joins them."""
        n_users, n = self.n_users, self.n_users + self.n_items - 2  # without the two padding ids
        nodes = torch.randint(n, (2, pairs), device=graph.keys.device) + 1
        nodes = nodes + (nodes >= n_users)
        left, right = nodes.amin(0), nodes.amax(0)
        joined = left * self.n_items + right - n_users
        place = torch.searchsorted(graph.keys, joined).clamp_(max=len(graph.keys) - 1)
        both_sides = (left < n_users) & (right > n_users)
        return left, right, ~(both_sides & (graph.keys[place] == joined))

    def ranking(self, inputs: Tensor, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return BPR over LightGCN of the vectors that are denoised in one step, and its penalty."""
        o = self.options
        mean, log_std = self.encoded(self.observed, inputs)
        z = mean + torch.randn_like(mean) * log_std.exp()
        of_e, log_std_e = self.inferred(z)
        e = of_e + torch.randn_like(of_e) * log_std_e.exp()
        t = uniform_steps(o.steps, len(z), device=z.device)
        nodes = self.denoised(self.diffusion.q_sample(z, t, torch.randn_like(z)), t, e)
        of_users, of_items = nodes.split([self.n_users, self.n_items])
        negatives = uniform_negatives(self.positives, users)
        some_users, of_user = torch.unique(users, return_inverse=True)
        some_items, of_item = torch.unique(torch.cat([items, negatives]), return_inverse=True)
        U, V = mean_of_layers(self.lightgcn, o.n_layers, of_users, of_items, (some_users, some_items))
        u, (v, n) = F.embedding(of_user, U), F.embedding(of_item, V).chunk(2)
        penalty = (u.norm() + v.norm() + n.norm()) / len(users)
        return losses.bpr((u * v).sum(1), (u * n).sum(1)), o.reg_weight * penalty


def reconstruction(edges: Tensor, apart: Tensor) -> Tensor:
    """Return half the mean of -log p over edges plus half the mean of -log(1 - p) over pairs without one.

    With all pairs this is the graph autoencoder's loss, whose weight of an edge is (n^2 - E) / E and whose
    factor is n^2 / (2 (n^2 - E)); of pairs that are drawn it is an unbiased estimate.

    Args:
        edges: scores of edges, [edges]; p is their logistic function.
        apart: scores of pairs that no edge joins, [pairs]; none may be left in a small batch, which then
            says nothing about them.
    """
    return (F.softplus(-edges).mean() + F.softplus(apart).sum() / max(1, len(apart))) / 2


def divergence(mean: Tensor, log_std: Tensor, prior: Tensor) -> Tensor:
    """Return the divergence of N(mean, std) from a prior, the sum over dimensions, [rows].

    Args:
        mean: [rows, d].
        log_std: [rows, d].
        prior: mean and log deviation of the prior one after the other, [2 d].
    """
    of_prior, log_prior = prior.chunk(2)
    squares = (2 * log_std).exp() + (mean - of_prior).square()
    return (log_prior - log_std + squares / (2 * (2 * log_prior).exp()) - 0.5).sum(1)


def policy_loss(variance: Tensor, log_p: Tensor) -> Tensor:
    """Return REINFORCE's loss of the generator, a scalar: the variance is its reward, without a gradient.

    Args:
        variance: of the risks over environments, a scalar.
        log_p: mean log probability of the drawn edits of each environment, [K].
    """
    return -variance.detach() * log_p.sum()
