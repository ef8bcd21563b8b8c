"""The models of cramplan, written down from their formulas.

A model is a flat `Options` and a dict of weights by cramplan's names; there are no modules and no
ready-made layers. Matrices are [in, out]: y = x W. The precision is that of the weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Weights = dict[str, Tensor]
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Options:
    """One model and its loss; the README explains every field."""

    vocabulary: int = 67
    width: int = 24
    depth: int = 2
    heads: int = 3
    sequence: int = 12
    batch: int = 2
    embedding_width: int | None = None
    token_types: int = 0
    positions: str = "scaled_sinusoidal"
    learned_positions: int | None = None
    theta: float | None = None
    embedding_norm: bool = True
    norm: str = "layer_norm"
    eps: float = 1e-12
    placement: str = "pre_norm"
    attention: str = "softmax"
    causal: bool = False
    softmax_blocks: tuple[int, ...] = ()
    output_projection: bool = True
    feed_forward: str = "glu"
    intermediate: int = 48
    activation: str = "gelu"
    feed_forward_every: int = 1
    passes: int = 1
    biases_qkv: bool = False
    biases_dense: bool = False
    biases_decoder: bool = False
    final_norm: bool = True
    head: str = "skipped"
    tied: bool = True
    prediction: str = "sparse"
    z_loss: float = 0.0
    label_smoothing: float = 0.0
    focal: float = 0.0

    @property
    def word_width(self) -> int:
        return self.embedding_width or self.width

    def softmax_in(self, block: int) -> bool:
        return self.attention == "softmax" or block in self.softmax_blocks

    def feed_forward_in(self, block: int) -> bool:
        return (block + 1) % self.feed_forward_every == 0


# ---------------------------------------------------------------------------------------------
# Names and shapes


def parameters(o: Options) -> dict[str, Shape]:
    """Every parameter of the model with its shape."""
    shapes: dict[str, Shape] = {}
    d, e, v = o.width, o.word_width, o.vocabulary

    def matrix(name: str, rows: int, columns: int, bias: bool = False) -> None:
        shapes[name] = (rows, columns)
        if bias:
            shapes[f"{name}_bias"] = (columns,)

    def norm(name: str) -> None:
        shapes[f"{name}.gain"] = (1,) if o.norm == "scale_norm" else (d,)
        if o.norm == "layer_norm":
            shapes[f"{name}.bias"] = (d,)

    matrix("embedding.word", v, e)
    if e != d:
        matrix("embedding.projection", e, d, o.biases_dense)
    if o.token_types:
        matrix("embedding.token_type", o.token_types, d)
    if o.positions == "scaled_sinusoidal":
        shapes["embedding.position_scale"] = (1,)
    if o.positions == "learned":
        matrix("embedding.position", o.learned_positions, d)
    if o.embedding_norm:
        norm("embedding.norm")

    for i in range(o.depth):
        block = f"block.{i}"
        norm(f"{block}.attention_norm")
        if o.softmax_in(i):
            for part in ("query", "key", "value"):
                matrix(f"{block}.attention.{part}", d, d, o.biases_qkv)
        if o.softmax_in(i) or o.output_projection:
            matrix(f"{block}.attention.output", d, d, o.biases_dense)
        if o.placement == "sandwich":
            norm(f"{block}.attention_out_norm")
        if not o.feed_forward_in(i):
            continue
        norm(f"{block}.feed_forward_norm")
        inner = o.intermediate // 2 if o.feed_forward == "glu" else o.intermediate
        for part in ("value", "gate") if o.feed_forward == "glu" else ("input",):
            matrix(f"{block}.feed_forward.{part}", d, inner, o.biases_dense)
        matrix(f"{block}.feed_forward.output", inner, d, o.biases_dense)
        if o.placement == "sandwich":
            norm(f"{block}.feed_forward_out_norm")

    if o.final_norm:
        norm("final_norm")
    if o.head != "skipped":
        matrix("head.transform", d, d, o.biases_dense)
    if o.head == "nonlinear":
        norm("head.norm")
    if e != d:
        matrix("head.projection", d, e, o.biases_dense)
    if not o.tied:
        matrix("head.decoder", v, e)
    if o.biases_decoder:
        shapes["head.decoder_bias"] = (v,)
    return shapes


def decays(name: str) -> bool:
    """Weight decay spares norms and biases, and nothing else."""
    return not name.endswith((".gain", ".bias", "_bias"))


# ---------------------------------------------------------------------------------------------
# Parts


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    y = x @ w[name]
    bias = w.get(f"{name}_bias")
    return y if bias is None else y + bias


def normalize(o: Options, w: Weights, name: str, x: Tensor) -> Tensor:
    gain = w[f"{name}.gain"]
    if o.norm == "layer_norm":
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred / torch.sqrt(variance + o.eps) * gain + w[f"{name}.bias"]
    squares = (x * x).sum(-1, keepdim=True)
    if o.norm == "rms_norm":
        return x / torch.sqrt(squares / o.width + o.eps) * gain
    return gain * x / torch.sqrt(squares).clamp(min=o.eps)


def activate(kind: str, x: Tensor) -> Tensor:
    match kind:
        case "gelu":
            return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
        case "gelu_tanh":
            return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        case "relu":
            return x.clamp(min=0)
        case "silu":
            return x / (1 + torch.exp(-x))
        case "tanh":
            return torch.tanh(x)
        case "sigmoid":
            return 1 / (1 + torch.exp(-x))
        case "squared_relu":
            return x.clamp(min=0) ** 2
    raise ValueError(kind)


def sinusoids(sequence: int, width: int) -> Tensor:
    """[S, D] in float64: sin(p w_i) in the even columns, cos(p w_i) in the odd ones."""
    place = torch.arange(sequence, dtype=torch.float64)[:, None]
    frequency = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = place * frequency
    return torch.stack((angle.sin(), angle.cos()), dim=-1).reshape(sequence, width)


def rotate(theta: float, x: Tensor) -> Tensor:
    """Turns each pair (j, j + half) of a head by the angle p theta^(-2j / head width); x: [B, H, S, head width]."""
    sequence, head_width = x.shape[-2:]
    half = head_width // 2
    place = torch.arange(sequence, dtype=torch.float64)[:, None]
    angle = place * theta ** (-2 * torch.arange(half, dtype=torch.float64) / head_width)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def embed(o: Options, w: Weights, tokens: Tensor) -> Tensor:
    """[B, S, D]"""
    h = w["embedding.word"][tokens.reshape(o.batch, o.sequence)]
    if o.word_width != o.width:
        h = linear(w, "embedding.projection", h)
    if o.token_types:
        h = h + w["embedding.token_type"][0]
    if o.positions == "learned":
        h = h + w["embedding.position"][: o.sequence]
    elif o.positions in ("sinusoidal", "scaled_sinusoidal"):
        table = sinusoids(o.sequence, o.width).to(h.dtype)
        h = h + (table * w["embedding.position_scale"] if o.positions == "scaled_sinusoidal" else table)
    return normalize(o, w, "embedding.norm", h) if o.embedding_norm else h


def attend(o: Options, w: Weights, name: str, x: Tensor) -> Tensor:
    def per_head(part: str) -> Tensor:
        return linear(w, f"{name}.{part}", x).reshape(o.batch, o.sequence, o.heads, -1).transpose(1, 2)

    query, key, value = per_head("query"), per_head("key"), per_head("value")
    if o.positions == "rotary":
        query, key = rotate(o.theta, query), rotate(o.theta, key)
    scores = query @ key.transpose(-1, -2) / math.sqrt(o.width / o.heads)
    if o.causal:
        later = torch.ones(o.sequence, o.sequence, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    powers = torch.exp(scores - scores.amax(-1, keepdim=True).detach())
    context = powers / powers.sum(-1, keepdim=True) @ value
    return linear(w, f"{name}.output", context.transpose(1, 2).reshape(x.shape))


def mix(o: Options, w: Weights, block: int, x: Tensor) -> Tensor:
    """The attention half of a block, without norm and residual."""
    name = f"block.{block}.attention"
    if o.softmax_in(block):
        return attend(o, w, name, x)
    mixed = torch.fft.fft2(x, dim=(-2, -1), norm="ortho").real
    return linear(w, f"{name}.output", mixed) if o.output_projection else mixed


def feed_forward(o: Options, w: Weights, block: int, x: Tensor) -> Tensor:
    name = f"block.{block}.feed_forward"
    if o.feed_forward == "glu":
        inner = linear(w, f"{name}.value", x) * activate(o.activation, linear(w, f"{name}.gate", x))
    else:
        inner = activate(o.activation, linear(w, f"{name}.input", x))
    return linear(w, f"{name}.output", inner)


def add_half(o: Options, w: Weights, name: str, h: Tensor, half: Callable[[Tensor], Tensor]) -> Tensor:
    """A half of a block with its norms and its residual."""
    norm, out_norm = f"{name}_norm", f"{name}_out_norm"
    match o.placement:
        case "pre_norm":
            return h + half(normalize(o, w, norm, h))
        case "post_norm":
            return normalize(o, w, norm, h + half(h))
        case "sandwich":
            return h + normalize(o, w, out_norm, half(normalize(o, w, norm, h)))
        case "deep_norm":
            return normalize(o, w, norm, (2 * o.depth) ** 0.25 * h + half(h))
    raise ValueError(o.placement)


# ---------------------------------------------------------------------------------------------
# The whole


def logits(o: Options, w: Weights, tokens: Tensor, rows: Tensor) -> Tensor:
    """[N, V]: the scores at the given rows of the flattened [B S] positions."""
    h = embed(o, w, tokens)
    for block in list(range(o.depth)) * o.passes:
        h = add_half(o, w, f"block.{block}.attention", h, lambda x: mix(o, w, block, x))
        if o.feed_forward_in(block):
            h = add_half(o, w, f"block.{block}.feed_forward", h, lambda x: feed_forward(o, w, block, x))
    if o.final_norm:
        h = normalize(o, w, "final_norm", h)
    x = h.reshape(-1, o.width)[rows]
    if o.head != "skipped":
        x = linear(w, "head.transform", x)
    if o.head == "nonlinear":
        x = normalize(o, w, "head.norm", activate(o.activation, x))
    if o.word_width != o.width:
        x = linear(w, "head.projection", x)
    scores = x @ w["embedding.word" if o.tied else "head.decoder"].T
    return scores + w["head.decoder_bias"] if o.biases_decoder else scores


def row_losses(o: Options, scores: Tensor, labels: Tensor) -> Tensor:
    """[N]: the loss of each row before its weight."""
    log_sum = torch.logsumexp(scores, -1)
    log_p = scores - log_sum[:, None]
    loss = -log_p.gather(-1, labels[:, None]).squeeze(-1)
    if o.focal:
        assert not o.label_smoothing, "not defined together"
        loss = (1 - torch.exp(-loss)) ** o.focal * loss
    if o.label_smoothing:
        loss = (1 - o.label_smoothing) * loss - o.label_smoothing * log_p.mean(-1)
    return loss + o.z_loss * log_sum**2
