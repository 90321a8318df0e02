"""What a run begins with: the batches that it draws, and its network."""

from __future__ import annotations

from pathlib import Path

import torch

from protdiff.checkpoint import load_checkpoint
from protdiff.errors import InputError
from protdiff.network import ScoreNetwork
from protdiff.training.config import TrainingConfig
from protdiff.training.dataset import BackboneDataset
from protdiff.training.sampling import BatchSampler, get_chain_weights
from protdiff.training.state import STATE
from protdiff.weights import find_weights

__all__ = ["make_batches", "make_network"]


def make_batches(config: TrainingConfig, dataset: BackboneDataset, processes: int) -> BatchSampler:
    """Return what draws the batches of a run that so many processes share.

    Raises
    ------
    InputError
        A batch of the longest chains cannot be divided into as many parts as there are.
    """
    weights = get_chain_weights(dataset, config.sheet_preference)
    batches = BatchSampler(dataset, config.residues_per_batch, weights)
    parts = processes * config.accumulate
    if batches.fewest < parts:
        raise InputError(
            f"batches of {config.residues_per_batch} residues have {batches.fewest} of "
            f"the longest chains, too few for {parts} parts; raise residues_per_batch"
        )
    return batches


def make_network(config: TrainingConfig) -> ScoreNetwork:
    """Return the network that the run begins with, random or from a checkpoint.

    A run that goes on takes its weights from its state, and needs no checkpoint any more.

    Raises
    ------
    InputError
        The checkpoint's network is of another size than the configuration's, or is to be its
        expert, and it has none.
    """
    if not config.initial_weights or (Path(config.out) / STATE).exists():
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers are not ours
            torch.default_generator.manual_seed(config.seed)
            return ScoreNetwork(config.network)
    model = load_checkpoint(find_weights(config.initial_weights))
    network = model.network
    if config.initial_expert:
        if model.expert is None:
            raise InputError(
                f"{config.initial_weights} has no expert to begin from; leave initial_expert out"
            )
        network = model.expert.network
    if network.config != config.network:
        given, wanted = network.config.to_dict(), config.network.to_dict()
        differing = ", ".join(
            f"{name} {given[name]}, not {wanted[name]}"
            for name in wanted
            if given[name] != wanted[name]
        )
        raise InputError(
            f"the network of {config.initial_weights} is of another size ({differing}); give its "
            "sizes under [network], or begin without initial_weights"
        )
    return network.requires_grad_(True).train()
