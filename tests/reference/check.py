"""Checks that model.py is right, by ways that share no code with it; prints one line for each check.

    python check.py
"""

import cmath
import json
import math
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from make import ADAMW, CASES, HERE, SGD_LR, STEPS, WEIGHT_DECAY, copy, losses, problem
from model import (
    Options, Weights, activate, add_half, decays, logits, mix,
    normalize, parameters, rotate, row_losses, sinusoids,
)

STEP = 1e-5
DOUBLE = torch.float64


def distance(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def case(name: str, seed: int = 7) -> tuple[Options, Weights, dict[str, Tensor]]:
    weights, batch = problem(CASES[name], seed)
    return CASES[name], copy(weights, DOUBLE), batch


def slopes() -> Iterator[tuple[str, float]]:
    """Each gradient along a random direction against central differences of the loss."""
    for name in CASES:
        o, w, batch = case(name)
        losses(o, w, batch)[0].backward()
        scale = max(value.grad.norm().item() for value in w.values())
        worst = 0.0
        with torch.no_grad():
            for value in w.values():
                direction = torch.randn_like(value)
                direction /= direction.norm()
                start = value.clone()
                ends = []
                for step in (STEP, -STEP):
                    value.copy_(start + step * direction)
                    ends.append(losses(o, w, batch)[0].item())
                value.copy_(start)
                slope = (ends[0] - ends[1]) / (2 * STEP)
                worst = max(worst, abs(slope - (value.grad * direction).sum().item()) / scale)
        yield f"slopes of {name}", worst


def crammed() -> Iterator[tuple[str, float]]:
    """The crammed model by torch's own functions."""
    for name in ("crammed", "bert-c5", "rotary-causal"):
        o, w, batch = case(name)
        d, heads = o.width, o.heads

        def norm(part: str, x: Tensor) -> Tensor:
            return F.layer_norm(x, (d,), w[f"{part}.gain"], w[f"{part}.bias"], o.eps)

        def product(part: str, x: Tensor) -> Tensor:
            return F.linear(x, w[part].T, w.get(f"{part}_bias"))

        h = F.embedding(batch["tokens"].view(o.batch, o.sequence), w["embedding.word"])
        if o.positions == "scaled_sinusoidal":
            angle = [[p / 10_000 ** (2 * (c // 2) / d) for c in range(d)] for p in range(o.sequence)]
            table = [[math.cos(a) if c % 2 else math.sin(a) for c, a in enumerate(row)] for row in angle]
            h = h + torch.tensor(table, dtype=DOUBLE) * w["embedding.position_scale"]
        h = norm("embedding.norm", h)
        for i in range(o.depth):
            x = norm(f"block.{i}.attention_norm", h)
            parts = (product(f"block.{i}.attention.{part}", x) for part in ("query", "key", "value"))
            query, key, value = (part.unflatten(-1, (heads, d // heads)).transpose(1, 2) for part in parts)
            if o.positions == "rotary":
                query, key = turned(query, o.theta), turned(key, o.theta)
            x = F.scaled_dot_product_attention(query, key, value, is_causal=o.causal)
            h = h + product(f"block.{i}.attention.output", x.transpose(1, 2).flatten(2))
            x = norm(f"block.{i}.feed_forward_norm", h)
            part = f"block.{i}.feed_forward"
            h = h + product(f"{part}.output", product(f"{part}.value", x) * F.gelu(product(f"{part}.gate", x)))
        x = norm("final_norm", h).flatten(0, 1)[batch["rows"].long()]
        if o.head == "linear":
            x = product("head.transform", x)
        scores = F.linear(x, w["embedding.word"])
        each = F.cross_entropy(scores, batch["labels"].long(), reduction="none")
        theirs = torch.autograd.grad((each * batch["weights"]).sum(), list(w.values()))
        ours = torch.autograd.grad(losses(o, w, batch)[0], list(w.values()))
        scale = max(g.norm() for g in theirs)
        yield f"{name} by torch.nn.functional", max(((a - b).norm() / scale).item() for a, b in zip(ours, theirs))


def turned(x: Tensor, theta: float) -> Tensor:
    """Rotary positions as products of complex numbers."""
    half = x.shape[-1] // 2
    turns = [[cmath.exp(1j * p * theta ** (-j / half)) for j in range(half)] for p in range(x.shape[-2])]
    z = torch.complex(x[..., :half], x[..., half:]) * torch.tensor(turns, dtype=torch.complex128)
    return torch.cat((z.real, z.imag), -1)


def encoder_layers() -> Iterator[tuple[str, float]]:
    """Blocks with biases against nn.TransformerEncoderLayer, post- and pre-norm."""
    for name in ("bert-original", "hf-bert", "crammed-simple"):
        o, w, batch = case(name)
        h = w["embedding.word"][batch["tokens"].long()].view(o.batch, o.sequence, -1) + w["embedding.position"][: o.sequence]
        h = h + (w["embedding.token_type"][0] if o.token_types else 0)
        h = F.layer_norm(h, (o.width,), w["embedding.norm.gain"], w["embedding.norm.bias"], o.eps)
        for i in range(o.depth):
            b = {key.removeprefix(f"block.{i}."): value for key, value in w.items()}
            layer = nn.TransformerEncoderLayer(
                o.width, o.heads, o.intermediate, 0.0, F.gelu, o.eps, True, o.placement == "pre_norm", dtype=DOUBLE
            )
            qkv = ("query", "key", "value")
            layer.load_state_dict({
                "self_attn.in_proj_weight": torch.cat([b[f"attention.{part}"].T for part in qkv]),
                "self_attn.in_proj_bias": torch.cat([b[f"attention.{part}_bias"] for part in qkv]),
                "self_attn.out_proj.weight": b["attention.output"].T, "self_attn.out_proj.bias": b["attention.output_bias"],
                "linear1.weight": b["feed_forward.input"].T, "linear1.bias": b["feed_forward.input_bias"],
                "linear2.weight": b["feed_forward.output"].T, "linear2.bias": b["feed_forward.output_bias"],
                "norm1.weight": b["attention_norm.gain"], "norm1.bias": b["attention_norm.bias"],
                "norm2.weight": b["feed_forward_norm.gain"], "norm2.bias": b["feed_forward_norm.bias"],
            })
            h = layer(h)
        x = F.gelu(F.linear(h.flatten(0, 1)[batch["rows"].long()], w["head.transform"].T, w["head.transform_bias"]))
        x = F.layer_norm(x, (o.width,), w["head.norm.gain"], w["head.norm.bias"], o.eps)
        scores = F.linear(x, w["embedding.word"], w["head.decoder_bias"])
        ours = logits(o, w, batch["tokens"].long(), batch["rows"].long())
        yield f"{name} by nn.TransformerEncoderLayer", distance(ours, scores)


def parts() -> Iterator[tuple[str, float]]:
    x = torch.randn(50, dtype=DOUBLE) * 3
    theirs = {
        "gelu": F.gelu(x), "gelu_tanh": F.gelu(x, approximate="tanh"), "relu": F.relu(x), "silu": F.silu(x),
        "tanh": F.tanh(x), "sigmoid": F.sigmoid(x), "squared_relu": F.relu(x).square(),
    }
    for kind, value in theirs.items():
        yield f"activation {kind}", distance(activate(kind, x), value)

    o, w, batch = case("sandwich-rms")
    h = torch.randn(4, o.width, dtype=DOUBLE)
    gain = w["final_norm.gain"]
    yield "rms norm", distance(normalize(o, w, "final_norm", h), F.rms_norm(h, (o.width,), gain, o.eps))
    o, w, batch = case("scale-norm-clamped")
    h = torch.tensor([[0.5] + [0.0] * 23, [2.0] + [0.0] * 23], dtype=DOUBLE)
    ours = normalize(o, w, "final_norm", h)[:, 0] / w["final_norm.gain"]
    yield "scale norm on both sides of eps", distance(ours, torch.tensor([0.5, 1.0], dtype=DOUBLE))

    yield "sinusoids, first columns", distance(sinusoids(9, 6)[7, :4], torch.tensor(
        [math.sin(7), math.cos(7), math.sin(7 / 10_000 ** (1 / 3)), math.cos(7 / 10_000 ** (1 / 3))], dtype=DOUBLE))
    q = torch.randn(2, 3, 12, 8, dtype=DOUBLE)
    yield "rotation by complex numbers", distance(rotate(500.0, q), turned(q, 500.0))

    o, w, batch = case("fourier")
    x = torch.randn(o.batch, o.sequence, o.width, dtype=DOUBLE)
    s, d = o.sequence, o.width
    grids = [torch.arange(n, dtype=DOUBLE).outer(torch.arange(n, dtype=DOUBLE)) * (2 * math.pi / n) for n in (s, d)]
    cosines, sines = [g.cos() for g in grids], [g.sin() for g in grids]
    by_hand = (cosines[0] @ x @ cosines[1] - sines[0] @ x @ sines[1]) / math.sqrt(s * d)
    yield "Fourier mixing by matrices", distance(mix(o, w, 0, x), by_hand)

    scores, labels = torch.randn(9, 61, dtype=DOUBLE) * 2, torch.randint(61, (9,))
    smooth = F.cross_entropy(scores, labels, label_smoothing=0.1, reduction="none")
    yield "label smoothing by torch", distance(row_losses(Options(label_smoothing=0.1), scores, labels), smooth)
    plain = F.cross_entropy(scores, labels, reduction="none")
    z = plain + 0.05 * scores.exp().sum(-1).log() ** 2
    yield "z-loss", distance(row_losses(Options(z_loss=0.05), scores, labels), z)
    p = scores.softmax(-1)[torch.arange(9), labels]
    yield "focal", distance(row_losses(Options(focal=2.5), scores, labels), -((1 - p) ** 2.5) * p.log())


def placements() -> Iterator[tuple[str, float]]:
    """Models that must agree by construction."""
    o, w, batch = case("recurrent")
    unrolled = replace(o, depth=o.depth * o.passes, passes=1)
    copies = {name: w[name] for name in w if not name.startswith("block.")}
    for name in parameters(unrolled):
        if name.startswith("block."):
            _, i, part = name.split(".", 2)
            copies[name] = w[f"block.{int(i) % o.depth}.{part}"]
    yield "recurrent, unrolled", distance(losses(o, w, batch)[1], losses(unrolled, copies, batch)[1])

    o, w, batch = case("bert-tiny")
    plain = replace(o, embedding_width=None, tied=False)
    word, up, down = w["embedding.word"], w["embedding.projection"], w["head.projection"]
    merged = w | {"embedding.word": word @ up + w["embedding.projection_bias"], "head.decoder": word @ down.T}
    merged["head.decoder_bias"] = w["head.decoder_bias"] + word @ w["head.projection_bias"]
    merged = {name: merged[name] for name in parameters(plain)}
    yield "factorised, multiplied out", distance(losses(o, w, batch)[1], losses(plain, merged, batch)[1])

    o, w, batch = case("deepnorm")
    o = replace(o, eps=1e-30)
    alpha = (2 * o.depth) ** 0.25
    halves = {name: w[name] / alpha if ".output" in name else w[name] for name in w}
    post = losses(replace(o, placement="post_norm"), halves, batch)[1]
    yield "deep norm as post-norm of smaller halves", distance(losses(o, w, batch)[1], post)

    o, w, batch = case("sandwich-rms")
    h = torch.randn(o.batch, o.sequence, o.width, dtype=DOUBLE)

    def rms(name: str, x: Tensor) -> Tensor:
        return F.rms_norm(x, (o.width,), w[f"block.1.attention_{name}.gain"], o.eps)

    ours = add_half(o, w, "block.1.attention", h, torch.sin)
    yield "sandwich", distance(ours, h + rms("out_norm", torch.sin(rms("norm", h))))

    o, w, batch = case("crammed")
    dense = {**batch, "rows": torch.arange(o.batch * o.sequence), "labels": torch.zeros(o.batch * o.sequence)}
    dense["weights"] = torch.zeros(o.batch * o.sequence).index_copy(0, batch["rows"].long(), batch["weights"])
    dense["labels"] = dense["labels"].index_copy(0, batch["rows"].long(), batch["labels"].float())
    yield "sparse and dense", distance(losses(o, w, batch)[0], losses(o, w, dense)[0])

    o, w, batch = case("rotary-causal")
    other = batch["tokens"].clone()
    other[o.sequence - 1] = (other[o.sequence - 1] + 1) % o.vocabulary
    rows = torch.arange(o.sequence - 1)
    yield "causal: the last token does not reach back", distance(
        logits(o, w, other.long(), rows), logits(o, w, batch["tokens"].long(), rows))

    o, w, batch = case("every-second-feed-forward")
    there = sorted({int(name.split(".")[1]) for name in w if ".feed_forward." in name})
    yield f"feed-forward halves in blocks {there}", 0.0 if there == [1, 3] else math.inf


def files() -> Iterator[tuple[str, float]]:
    """The stored numbers: shapes and names, and the optimizers by hand from the stored weights."""
    for entry in json.loads((HERE / "cases.json").read_text())["cases"]:
        name = entry["name"]
        o, stored = CASES[name], load_file(HERE / f"{name}.safetensors")
        kinds = ("weight", "gradient", "sgd", "adamw")
        shapes = {f"{kind}.{part}": shape for kind in kinds for part, shape in parameters(o).items()}
        rest = {"loss", "loss64", "row_losses", *(f"input.{part}" for part in ("tokens", "rows", "labels", "weights"))}
        assert stored.keys() == shapes.keys() | rest and all(tuple(stored[k].shape) == s for k, s in shapes.items()), name
        assert all(value.isfinite().all() for value in stored.values()), name

        weights = {part: stored[f"weight.{part}"] for part in parameters(o)}
        batch = {part: stored[f"input.{part}"] for part in ("tokens", "rows", "labels", "weights")}
        assert abs(batch["weights"].sum().item() - 1) < 1e-6
        worst = abs((batch["weights"].double() * stored["row_losses"].double()).sum() - stored["loss64"]).item()
        for rule in ("sgd", "adamw"):
            w = copy(weights, DOUBLE)
            first, second = ({part: torch.zeros_like(value) for part, value in w.items()} for _ in range(2))
            for t in range(1, STEPS + 1):
                gradients = torch.autograd.grad(losses(o, w, batch)[0], list(w.values()))
                with torch.no_grad():
                    for (part, value), g in zip(w.items(), gradients):
                        if rule == "sgd":
                            value -= SGD_LR * g
                            continue
                        b1, b2 = ADAMW["betas"]
                        first[part] = b1 * first[part] + (1 - b1) * g
                        second[part] = b2 * second[part] + (1 - b2) * g * g
                        root = torch.sqrt(second[part] / (1 - b2**t)) + ADAMW["eps"]
                        decay = WEIGHT_DECAY if decays(part) else 0.0
                        value -= ADAMW["lr"] * (first[part] / (1 - b1**t) / root + decay * value)
            worst = max(worst, *(distance(w[part].detach(), stored[f"{rule}.{part}"].double()) for part in w))
        yield f"stored {name}", worst


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    bounds = {slopes: 1e-7, files: 2e-7}
    failed = 0
    for check in (parts, placements, crammed, encoder_layers, slopes, files):
        for what, error in check():
            good = error < bounds.get(check, 1e-13)
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'} {error:8.1e}  {what}", flush=True)
    print("all good" if not failed else f"{failed} failed")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
