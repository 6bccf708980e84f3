"""Embeddings, recurrent layers and attention."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Module

from benchmarks.layers.cases import Case, between, named, quietly, ready, real, whole

TOKENS = 6


def _embedded(layer: Module, *then: Module, special: str = "", length: int = 3, features: int = 6) -> Case:
    """Tokens, their embedding, and a perceptron."""
    model = ready(nn.Sequential(layer, *then, nn.Tanh(), nn.Linear(features, 2)))
    return Case(named(layer, special), model, nn.MSELoss(), whole(TOKENS, length), real(2, seed=1))


def _bag(special: str = "", **options: Any) -> Case:
    return _embedded(nn.EmbeddingBag(TOKENS, 3, **options), special=special, features=3)


class Padded(nn.Embedding):
    """An embedding in which the vector of token 0 is a constant."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Their vectors."""
        constant = ready(nn.Embedding(TOKENS, 2)).weight[:1].detach()
        return torch.cat([constant, self.weight[1:]])[tokens]


class Shortened(nn.Embedding):
    """An embedding whose vectors are no longer than a half, as a function of those that it is given."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Their vectors."""
        return (self.weight * (0.5 / self.weight.norm(dim=1, keepdim=True)).clamp(max=1))[tokens]


def _as(written: type[nn.Embedding], special: str, **options: Any) -> Case:
    """An embedding with options, to be held against one that is written out."""
    case = _embedded(nn.Embedding(TOKENS, 2, **options), nn.Flatten(), special=special)
    return replace(case, truth=_embedded(written(TOKENS, 2), nn.Flatten()).model)


EMBEDDINGS: list[Case] = [
    _embedded(nn.Embedding(TOKENS, 2), nn.Flatten()),
    _as(Padded, "padding_idx", padding_idx=0),
    _as(Shortened, "max_norm", max_norm=0.5),
    _embedded(nn.Embedding(TOKENS, 2, scale_grad_by_freq=True), nn.Flatten(), special="scale_grad_by_freq"),
    _embedded(nn.Embedding(TOKENS, 2, sparse=True), nn.Flatten(), special="sparse"),
    _bag(mode="mean"),
    _bag("sum", mode="sum"),
    _bag("max", mode="max"),
]


def _recurrent(layer: Module, special: str = "") -> Case:
    return between(layer, 3, 2, special=special)


RECURRENT: list[Case] = [
    _recurrent(nn.RNN(2, 2, batch_first=True)),
    _recurrent(nn.RNN(2, 2, nonlinearity="relu", batch_first=True), "relu"),
    _recurrent(nn.LSTM(2, 2, batch_first=True)),
    _recurrent(nn.LSTM(2, 1, bidirectional=True, batch_first=True), "bidirectional"),
    _recurrent(nn.LSTM(2, 2, num_layers=2, proj_size=1, batch_first=True), "two layers with projections"),
    _recurrent(nn.GRU(2, 2, batch_first=True)),
    between(nn.RNNCell(3, 2), 3),
    between(nn.LSTMCell(3, 2), 3),
    between(nn.GRUCell(3, 2), 3),
]

SIZES = {"dim_feedforward": 2, "batch_first": True}


def _to_itself(layer: Module, hidden: Tensor) -> Any:
    return layer(hidden, hidden, hidden)


def _silent(layer: Module, hidden: Tensor) -> Any:
    return layer(hidden, hidden, hidden, need_weights=False)


def _to_reversed(layer: Module, hidden: Tensor) -> Any:
    return layer(hidden, hidden.flip(1))


def _encoder() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(3, 1, **SIZES)


def _decoder() -> nn.TransformerDecoderLayer:
    return nn.TransformerDecoderLayer(3, 1, **SIZES)


def _part(case: Case, *parameters: str) -> Case:
    """Some of its parameters, of which a transformer has many."""
    return replace(case, parameters=["enter", *parameters])


def _attending(layer: Module, *shape: int, special: str = "") -> Case:
    return between(layer, *shape, special=special, apply=_to_reversed)


TRANSFORMER = quietly(nn.Transformer, 3, 1, 1, 1, batch_first=True, dim_feedforward=2)
ATTENTION: list[Case] = [
    between(nn.MultiheadAttention(2, 2, batch_first=True), 3, 2, apply=_to_itself),
    between(nn.MultiheadAttention(4, 2, batch_first=True), 2, 4, special="need_weights=False", apply=_silent),
    between(_encoder(), 2, 3),
    between(nn.TransformerEncoderLayer(3, 1, activation="gelu", norm_first=True, **SIZES), 2, 3, special="norm_first"),
    _part(between(nn.TransformerEncoder(_encoder(), 1, enable_nested_tensor=False), 2, 3), "layer.layers.0.linear1"),
    _part(_attending(_decoder(), 2, 3), "layer.self_attn", "layer.multihead_attn.out_proj", "leave"),
    _part(_attending(nn.TransformerDecoder(_decoder(), 1), 2, 3), "layer.layers.0.linear1"),
    _part(_attending(TRANSFORMER, 2, 3), "layer.encoder.norm", "layer.decoder.layers.0.multihead_attn.in_proj_weight"),
]
