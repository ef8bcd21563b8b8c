"""Writes cases/<name>.safetensors and cases/cases.json; prints how far float32 is from float64.

    python make.py             all cases
    python make.py crammed …   these only (cases.json is left alone)
"""

import json
import math
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from model import Options, Weights, decays, logits, parameters, row_losses

HERE = Path(__file__).parent / "cases"
# Of a few tried, one by which no sum of gradients happens to cancel nearly to nothing in float32.
SEED = 12_000
STEPS = 3
SGD_LR = 0.1
ADAMW = {"lr": 1e-3, "betas": (0.9, 0.98), "eps": 1e-6}
WEIGHT_DECAY = 0.01
MASKED = 0.25
NO_GRADIENT = 1e-9

BIASES = {"biases_qkv": True, "biases_dense": True}
BERT = {
    "placement": "post_norm",
    "feed_forward": "mlp",
    "positions": "learned",
    "learned_positions": 20,
    **BIASES,
    "biases_decoder": True,
    "head": "nonlinear",
    "final_norm": False,
    "prediction": "dense",
}

CASES: dict[str, Options] = {
    "crammed": Options(width=32, heads=4, sequence=16),
    "crammed-simple": Options(
        **BIASES, biases_decoder=True, feed_forward="mlp", positions="learned", learned_positions=12,
        head="nonlinear", final_norm=False, batch=3,
    ),
    "bert-original": Options(**BERT),
    "hf-bert": Options(**BERT, token_types=2, heads=2, sequence=13, batch=3),
    "bert-c3": Options(**BIASES, eps=1e-6, feed_forward="mlp", final_norm=False),
    "bert-c5": Options(head="linear", depth=3, heads=4, sequence=14),
    "bert-tiny": Options(**(BERT | {"learned_positions": 12, "prediction": "sparse"}), embedding_width=10, eps=1e-6),
    "sandwich-rms": Options(placement="sandwich", norm="rms_norm", eps=1e-3),
    "deepnorm": Options(placement="deep_norm", feed_forward="mlp", depth=3, heads=2, eps=1e-3, **BIASES),
    "scale-norm-silu-glu": Options(norm="scale_norm", eps=1e-5, activation="silu"),
    # Rows on both sides of eps in the first block.
    "scale-norm-clamped": Options(
        norm="scale_norm", eps=1.0, activation="silu", embedding_norm=False, positions="learned", learned_positions=12,
    ),
    "rotary-causal": Options(positions="rotary", theta=10_000.0, causal=True, **BIASES),
    "sinusoidal-relu": Options(positions="sinusoidal", feed_forward="mlp", activation="relu", sequence=15, batch=3),
    "no-positions-tanh-untied": Options(
        positions="no_positions", feed_forward="mlp", activation="tanh", tied=False, biases_decoder=True, head="nonlinear",
    ),
    "gelu-tanh-no-embedding-norm": Options(feed_forward="mlp", activation="gelu_tanh", embedding_norm=False),
    "sigmoid-glu": Options(activation="sigmoid", biases_dense=True),
    "squared-relu": Options(feed_forward="mlp", activation="squared_relu", prediction="dense"),
    "every-second-feed-forward": Options(feed_forward_every=2, depth=4),
    "recurrent": Options(passes=3, feed_forward="mlp"),
    "fourier": Options(attention="fourier", output_projection=False),
    "fourier-projection": Options(attention="fourier", biases_dense=True, sequence=13, heads=2),
    "fourier-hybrid": Options(attention="fourier", softmax_blocks=(1,), depth=3, sequence=16),
    "untied-factorised": Options(tied=False, embedding_width=16, biases_dense=True),
    "z-loss": Options(z_loss=0.05),
    "label-smoothing": Options(label_smoothing=0.1, prediction="dense"),
    "focal": Options(focal=2.5),
}


# ---------------------------------------------------------------------------------------------
# Weights and batch


def initial(o: Options, name: str, shape: tuple[int, ...], draw: Callable[..., Tensor]) -> Tensor:
    """Such values that every path matters."""
    if name.endswith(".gain"):
        usual = math.sqrt(o.width) if o.norm == "scale_norm" else 1.0
        return usual * (1 + 0.1 * draw(shape))
    if name == "embedding.position_scale":
        return 0.3 * (1 + 0.1 * draw(shape))
    return (0.15 if decays(name) else 0.1) * draw(shape)


def problem(o: Options, seed: int) -> tuple[Weights, dict[str, Tensor]]:
    """The weights and the batch, as stored."""
    generator = torch.Generator().manual_seed(seed)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator)

    def ids(count: int) -> Tensor:
        return torch.randint(o.vocabulary, (count,), generator=generator, dtype=torch.int32)

    weights = {name: initial(o, name, shape, draw) for name, shape in parameters(o).items()}
    places = o.batch * o.sequence
    # Position 0 is among them: in the last block of a Fourier model the bias of the norm reaches no other.
    others = 1 + torch.randperm(places - 1, generator=generator)[: round(MASKED * places) - 1]
    masked = torch.cat((torch.zeros(1, dtype=torch.long), others.sort().values))
    # One row is there without a weight, as when fewer positions are masked than rows are planned.
    share = 0.5 + torch.rand(len(masked), generator=generator, dtype=torch.float64)
    share[len(masked) // 2] = 0.0
    dense = torch.zeros(places, dtype=torch.float64).index_copy(0, masked, share / share.sum())
    rows = torch.arange(places) if o.prediction == "dense" else masked
    batch = {"tokens": ids(places), "rows": rows.int(), "labels": ids(len(rows)), "weights": dense[rows].float()}
    return weights, batch


# ---------------------------------------------------------------------------------------------
# Training


def losses(o: Options, w: Weights, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The loss of the batch, and of its rows."""
    rows = row_losses(o, logits(o, w, batch["tokens"].long(), batch["rows"].long()), batch["labels"].long())
    return (rows * batch["weights"].to(rows.dtype)).sum(), rows


def copy(weights: Weights, dtype: torch.dtype) -> Weights:
    return {name: value.to(dtype, copy=True).requires_grad_() for name, value in weights.items()}


def groups(w: Weights) -> list[dict]:
    return [
        {"params": [value for name, value in w.items() if decays(name)], "weight_decay": WEIGHT_DECAY},
        {"params": [value for name, value in w.items() if not decays(name)], "weight_decay": 0.0},
    ]


def train(o: Options, weights: Weights, batch: dict[str, Tensor], optimizer: str, dtype: torch.dtype) -> Weights:
    w = copy(weights, dtype)
    rule = torch.optim.SGD(w.values(), lr=SGD_LR) if optimizer == "sgd" else torch.optim.AdamW(groups(w), **ADAMW)
    for _ in range(STEPS):
        rule.zero_grad()
        losses(o, w, batch)[0].backward()
        rule.step()
    return {name: value.detach() for name, value in w.items()}


def solve(o: Options, weights: Weights, batch: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """All that a case stores but its inputs, in this precision."""
    w = copy(weights, dtype)
    loss, rows = losses(o, w, batch)
    loss.backward()
    solution = {"loss": loss.detach().reshape(1), "row_losses": rows.detach()}
    solution |= {f"gradient.{name}": value.grad for name, value in w.items()}
    for optimizer in ("sgd", "adamw"):
        trained = train(o, weights, batch, optimizer, dtype)
        solution |= {f"{optimizer}.{name}": value for name, value in trained.items()}
    return solution


# ---------------------------------------------------------------------------------------------
# Files


def without_gradient(solution: dict[str, Tensor]) -> list[str]:
    sizes = {name: value.norm().item() for name, value in solution.items() if name.startswith("gradient.")}
    bound = NO_GRADIENT * max(sizes.values())
    return [name.removeprefix("gradient.") for name, size in sizes.items() if size < bound]


def worst(single: dict[str, Tensor], double: dict[str, Tensor], kind: str, leave: list[str]) -> tuple[float, str]:
    """The largest relative L2 distance among the tensors of a kind, and where."""
    return max(
        (((single[name].double() - value).norm() / value.norm()).item(), name.removeprefix(kind))
        for name, value in double.items()
        if name.startswith(kind) and name.removeprefix(kind) not in leave
    )


def make(name: str, seed: int) -> tuple[dict, str]:
    """Writes a case; gives its entry of the JSON and its line of the table."""
    o = CASES[name]
    weights, batch = problem(o, seed)
    double = solve(o, weights, batch, torch.float64)
    single = solve(o, weights, batch, torch.float32)
    zero = without_gradient(double)

    tensors = {f"input.{key}": value for key, value in batch.items()}
    tensors |= {f"weight.{key}": value for key, value in weights.items()}
    tensors |= {key: value.float() for key, value in double.items()} | {"loss64": double["loss"]}
    path = HERE / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    path.chmod(0o644)

    loss = worst(single, double, "loss", [])[0]
    gradient, where = worst(single, double, "gradient.", zero)
    sgd, adamw = (worst(single, double, f"{kind}.", zero)[0] for kind in ("sgd", "adamw"))
    elements = sum(value.numel() for value in weights.values())
    line = (
        f"| {name} | {elements} | {path.stat().st_size / 1000:.0f} | {double['loss'].item():.4f} | {loss:.1e} "
        f"| {gradient:.1e} | `{where}` | {sgd:.1e} | {adamw:.1e} |"
    )
    outcome = {"sgd_lr": SGD_LR, "zero_gradient": zero}
    return {"name": name, "seed": seed, **asdict(o), **outcome}, line


def main() -> None:
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    chosen = sys.argv[1:] or list(CASES)
    print("| case | parameters | KB | loss | loss f32 | worst gradient f32 | which | sgd f32 | adamw f32 |")
    print("|---|---:|---:|---:|---:|---:|---|---:|---:|")
    entries = []
    for name in chosen:
        entry, line = make(name, seed=SEED + list(CASES).index(name))
        entries.append(entry)
        print(line, flush=True)
    if chosen == list(CASES):
        versions = {
            "python": platform.python_version(), "torch": torch.__version__,
            "numpy": numpy.__version__, "safetensors": safetensors.__version__,
        }
        optimizers = {"steps": STEPS, "adamw": ADAMW | {"weight_decay": WEIGHT_DECAY}}
        document = {"versions": versions, **optimizers, "cases": entries}
        (HERE / "cases.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
