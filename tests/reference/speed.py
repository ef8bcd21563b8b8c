"""Training speed of the same two models in PyTorch, written as one writes them to be fast: the other side of `cargo bench --bench speed`.

    python speed.py tiny|crammed [eager|compile]

prints one line of JSON: the median seconds of an optimizer step, tokens a second, and the most memory the process had.
"""

import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHAPES = {
    # width, depth, heads, intermediate, vocabulary, batch, sequence, steps
    "tiny": (128, 2, 4, 512, 4096, 32, 128, 30),
    "crammed": (768, 16, 12, 3072, 32768, 8, 128, 5),
}
MASKED = 0.25


class Block(nn.Module):
    def __init__(self, width: int, heads: int, intermediate: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, intermediate, bias=False)
        self.down = nn.Linear(intermediate // 2, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, s, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, s, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, s, d)
        x = x + self.out(mixed)
        value, gate = self.up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.gelu(gate) * value)


class Model(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, intermediate: int, vocabulary: int, sequence: int):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.factor = nn.Parameter(torch.tensor(width**-0.5))
        self.register_buffer("places", torch.randn(sequence, width))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.blocks = nn.ModuleList(Block(width, heads, intermediate) for _ in range(depth))
        self.last = nn.LayerNorm(width, eps=1e-12)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
        x = self.norm(self.words(tokens) + self.factor * self.places)
        for block in self.blocks:
            x = block(x)
        x = self.last(x).flatten(0, 1)[rows]
        return F.cross_entropy(x @ self.words.weight.t(), labels)


def main() -> None:
    name, mode = sys.argv[1], (sys.argv[2:] or ["eager"])[0]
    torch.set_num_threads(2)
    torch.manual_seed(0)
    width, depth, heads, intermediate, vocabulary, batch, sequence, steps = SHAPES[name]
    model = Model(width, depth, heads, intermediate, vocabulary, sequence)
    step = torch.compile(model) if mode == "compile" else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-12, weight_decay=0.01, fused=True)
    predicted = round(MASKED * batch * sequence)
    seconds = []
    for i in range(steps + 2):
        tokens = torch.randint(vocabulary, (batch, sequence))
        rows = torch.randperm(batch * sequence)[:predicted].sort().values
        labels = torch.randint(vocabulary, (predicted,))
        began = time.perf_counter()
        step(tokens, rows, labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if i >= 2:
            seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = {"who": f"PyTorch {mode}", "step_s": round(median, 5), "tokens_s": round(batch * sequence / median, 1), "peak_bytes": peak}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
