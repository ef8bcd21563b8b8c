//! Recipes from a seed: widths, depths, heads, sequences, micro-batches and options drawn at random, all of them valid.

/// How large the recipes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Tensors of 5 to 60 MB in all, for real steps on a CPU.
    Small,
    /// Tensors of 64 to 256 MB in all, where what a process holds beside them is a small share.
    Medium,
    /// As large as fits on a card of 48 GiB; for what executes nothing.
    Large,
}

/// So many recipes of a seed, each with a name of its own. Widths whose rows a card pads are among them.
pub fn generated(seed: u64, count: usize, size: Size) -> Vec<String> {
    let mut draw = Draw(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    (0..count).map(|i| recipe(&mut draw, size, &format!("generated-{seed}-{i}"))).collect()
}

/// Choices by SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn one<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

/// The extents of a drawn model.
struct Shape {
    width: u64,
    depth: u64,
    heads: u64,
    sequence: u64,
    half: u64,
    vocabulary: u64,
    micro_batch: u64,
}

impl Shape {
    fn draw(draw: &mut Draw, size: Size) -> Self {
        let [widths, depths, sequences, vocabularies, batches]: [&[u64]; 5] = match size {
            Size::Small => [
                &[32, 64, 80, 96, 128, 160, 192, 256],
                &[1, 2, 3, 4, 6],
                &[16, 24, 32, 48, 64, 100, 128],
                &[512, 1000, 2048, 4096],
                &[1, 2, 3, 4, 6, 8, 16, 32],
            ],
            Size::Medium => [
                &[96, 128, 160, 192, 256, 320, 384, 512],
                &[2, 3, 4, 6, 8],
                &[32, 48, 64, 100, 128, 192],
                &[1000, 2048, 4096, 8192],
                &[2, 3, 4, 6, 8, 12, 16, 32],
            ],
            Size::Large => [
                &[128, 192, 256, 320, 384, 512, 600, 768, 1024, 1280, 1536],
                &[1, 2, 4, 6, 8, 12, 16, 24],
                &[32, 64, 100, 128, 192, 256, 384, 512],
                &[1000, 4096, 8192, 16384, 30522, 32768, 50304],
                &[1, 2, 4, 7, 8, 16, 24, 32, 64, 96, 128],
            ],
        };
        let width = draw.one(widths);
        let heads: Vec<u64> =
            [1, 2, 4, 6, 8, 12, 16].into_iter().filter(|h| width.is_multiple_of(*h) && width / h >= 8).collect();
        let half = width * draw.one(&[2, 3, 4]) / draw.one(&[1, 2]);
        Self {
            width,
            depth: draw.one(depths),
            heads: draw.one(&heads),
            sequence: draw.one(sequences),
            half,
            vocabulary: draw.one(vocabularies),
            micro_batch: draw.one(batches),
        }
    }

    /// Roughly the bytes of weights, gradients, moments, and what forward keeps.
    fn bytes(&self) -> u64 {
        let parameters = self.vocabulary * self.width + self.depth * (4 * self.width * self.width + 3 * self.width * self.half);
        let rows = self.micro_batch * self.sequence;
        let kept = self.depth * (8 * self.width + 3 * self.half + self.heads * self.sequence) + self.vocabulary;
        4 * (4 * parameters + rows * kept)
    }

    fn fits(&self, size: Size) -> bool {
        let range = match size {
            Size::Small => 5_000_000..60_000_000,
            Size::Medium => 64_000_000..256_000_000,
            Size::Large => 0..24_000_000_000,
        };
        range.contains(&self.bytes())
    }
}

/// The options of a model: half of the recipes are crammed-BERT's kind, the others anything.
fn options(draw: &mut Draw, shape: &Shape, size: Size) -> String {
    let Shape { width, heads, sequence, half, .. } = *shape;
    if draw.below(2) == 0 {
        return format!("feed_forward: Glu(intermediate: {}),", 2 * half);
    }
    let activation = draw.one(&["Gelu", "GeluTanh", "Relu", "SquaredRelu", "Silu", "Sigmoid", "Tanh"]);
    let feed_forward = if draw.below(2) == 0 {
        format!("Glu(intermediate: {}, activation: {activation})", 2 * half)
    } else {
        format!("Mlp(intermediate: {half}, activation: {activation})")
    };
    let norm = draw.one(&["LayerNorm(eps: 1e-6)", "RmsNorm()", "ScaleNorm()"]);
    let placement = draw.one(&["PreNorm", "PostNorm", "Sandwich", "DeepNorm"]);
    let yes_or_no = |draw: &mut Draw| draw.below(2) == 0;
    let (qkv, dense, decoder) = (yes_or_no(draw), yes_or_no(draw), yes_or_no(draw));
    let mut positions = vec!["ScaledSinusoidal".to_owned(), "Sinusoidal".to_owned(), "Learned()".to_owned()];
    positions.extend([format!("Learned(length: {})", 2 * sequence), "NoPositions".to_owned()]);
    if (width / heads).is_multiple_of(2) {
        positions.push("Rotary()".to_owned());
    }
    let positions = &positions[draw.below(positions.len() as u64) as usize];
    let types = draw.one(&[0, 0, 2]);
    let narrow = if draw.below(3) == 0 { format!("table_width: {}, ", width / 2) } else { String::new() };
    let (norm_after, tied, final_norm, causal) = (yes_or_no(draw), draw.below(3) > 0, yes_or_no(draw), draw.below(3) == 0);
    let transform = draw.one(&["Skipped", "Projected", "Nonlinear"]);
    // What executes nothing still draws the masks, and those of large models are large.
    let dropout = if size == Size::Large {
        ""
    } else {
        draw.one(&["", "", "inputs: 10%, probabilities: 10%, branches: 10%", "probabilities: 20%", "branches: 5%"])
    };
    let init = draw.one(&["Normal()", "Small", "Megatron", "Wang"]);
    format!(
        "feed_forward: {feed_forward}, attention: Softmax(causal: {causal}), norm: {norm}, placement: {placement},
        biases: Biases(qkv: {qkv}, dense: {dense}, decoder: {decoder}), positions: {positions}, token_types: {types},
        embedding: Embedding({narrow}input_norm: {norm_after}, tied: {tied}),
        head: Head(final_norm: {final_norm}, transform: {transform}), dropout: Dropout({dropout}), init: {init},"
    )
}

fn recipe(draw: &mut Draw, size: Size, name: &str) -> String {
    let shape = loop {
        let shape = Shape::draw(draw, size);
        if shape.fits(size) {
            break shape;
        }
    };
    let Shape { width, depth, heads, sequence, vocabulary, micro_batch, .. } = shape;
    let full = micro_batch * draw.one(&[1, 2, 3, 4, 16]);
    let prediction = draw.one(&["Sparse()", "Sparse(share: 15%)", "Sparse(share: 40%)", "Dense()"]);
    let batch = if draw.below(2) == 0 { format!("Constant({full})") } else { format!("Ramp(to: {full}, until: 60%)") };
    let clip = draw.one(&["clip: 0.5, ", "clip: None, ", ""]);
    let decay = draw.one(&["ExceptNorms()", "Everything()"]);
    let weight_decay = draw.one(&["0.0", "0.01", "0.1"]);
    let rate = draw.one(&["15%", "25%", "40%"]);
    let protect = draw.one(&["true", "false"]);
    let lr = draw.one(&["Constant(1e-3)", "Triangle(peak: 1e-3, start: 25%, peak_at: 75%)"]);
    let options = options(draw, &shape, size);
    let losses =
        ["CrossEntropy()", "CrossEntropy()", "CrossEntropy(z_loss: 1e-4)", "CrossEntropy(label_smoothing: 10%)", "Focal()"];
    let loss = draw.one(&losses);
    let optimizer = optimizer(&mut Draw(draw.0 ^ 0x6f70_7469_6d69_7a65), clip, weight_decay, decay);
    format!(
        r#"Recipe(
    name: "{name}",
    budget: Budget(steps: 100),
    data: Corpus(sources: [Synthetic(4000)], tokenizer: WordPiece(vocab: {vocabulary})),
    model: Encoder(
        width: {width}, depth: {depth}, heads: {heads}, sequence: {sequence},
        {options}
    ),
    objective: MaskedLm(rate: {rate}, prediction: {prediction}, protect_special: {protect}, loss: {loss}),
    batch: {batch},
    micro_batch: {micro_batch},
    optimizer: {optimizer},
    lr: {lr},
)"#
    )
}

/// Every optimizer, half of them `AdamW`. From draws of its own, so that nothing else depends on how many there are.
fn optimizer(draw: &mut Draw, clip: &str, weight_decay: &str, decay: &str) -> String {
    let other = draw.below(2) == 0;
    let decay = draw.one(&[decay, decay, "ExceptBiases()", "Only(matrices: true)", "Only(biases: true, positions: true)"]);
    let (name, more) = match OTHERS[draw.below(OTHERS.len() as u64) as usize] {
        some if other => some,
        _ => ("AdamW", ""),
    };
    format!("{name}({clip}{more}weight_decay: {weight_decay}, decay: {decay})")
}

/// The optimizers beside `AdamW`, with what decides what they keep.
const OTHERS: [(&str, &str); 11] = [
    ("Adam", ""),
    ("RAdam", ""),
    ("Lamb", ""),
    ("Lion", ""),
    ("Sgd", "momentum: 0, "),
    ("Sgd", ""),
    ("Sgd", "nesterov: true, "),
    ("Adafactor", ""),
    ("Adafactor", "momentum: 0.9, "),
    ("Muon", ""),
    ("Muon", "nesterov: false, "),
];
