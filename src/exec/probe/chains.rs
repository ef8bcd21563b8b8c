//! The chains of operations that are measured: micro-steps and updates of small models.
//!
//! An operation alone, again and again on the same buffers, takes half or twice the time that it takes in a step, where its
//! operands have just been written or have long left the caches. So nothing is measured alone: these are whole steps, of models
//! that between them have every kind of operation in small and large, wide and narrow.

/// A small model and its micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Width D.
    pub width: u64,
    /// Heads H.
    pub heads: u64,
    /// Blocks L.
    pub depth: u64,
    /// Half of the gated projection.
    pub half: u64,
    /// Tokens in a sequence S.
    pub sequence: u64,
    /// Sequences B.
    pub batch: u64,
    /// Vocabulary V.
    pub vocabulary: u64,
    /// Whether only masked rows are predicted.
    pub sparse: bool,
}

impl Chain {
    /// Its recipe; the micro-batch is [`Chain::batch`].
    pub fn recipe(&self) -> String {
        let Self { width, heads, depth, half, sequence, batch, vocabulary, sparse } = self;
        let (intermediate, prediction) = (2 * half, if *sparse { "Sparse" } else { "Dense" });
        format!(
            "Recipe(
    name: \"probe\",
    budget: Budget(steps: 1),
    data: Corpus(sources: [Synthetic(1000)], tokenizer: WordPiece(vocab: {vocabulary})),
    model: Encoder(width: {width}, depth: {depth}, heads: {heads}, sequence: {sequence}, feed_forward: Glu(intermediate: {intermediate})),
    objective: MaskedLm(rate: 25%, prediction: {prediction}),
    batch: Constant({batch}),
    micro_batch: {batch},
    optimizer: AdamW(clip: 0.5),
    lr: Constant(1e-3),
)
"
        )
    }
}

/// Width, heads, depth, half, sequence, batch, vocabulary, sparse.
type Row = (u64, u64, u64, u64, u64, u64, u64, bool);

/// By arithmetic, least first. Widths from 64 to 1024, 40 to 8192 tokens, heads of 16 to 128, sequences of 32 to 512.
const ROWS: [Row; 36] = [
    (192, 3, 2, 576, 40, 1, 6000, false),
    (128, 4, 2, 256, 32, 4, 512, false),
    (64, 1, 2, 64, 32, 64, 512, true),
    (128, 2, 4, 512, 64, 8, 2048, true),
    (64, 2, 2, 256, 512, 4, 2048, true),
    (64, 4, 3, 128, 128, 8, 1024, false),
    (128, 1, 1, 128, 256, 3, 1024, true),
    (256, 4, 2, 256, 32, 6, 512, true),
    (96, 3, 2, 192, 64, 24, 4096, false),
    (320, 5, 2, 640, 80, 3, 1000, false),
    (512, 8, 1, 512, 32, 2, 1000, false),
    (64, 1, 2, 128, 128, 64, 512, true),
    (192, 6, 2, 384, 192, 12, 1024, true),
    (768, 12, 1, 768, 128, 2, 512, true),
    (64, 2, 1, 192, 256, 16, 16384, true),
    (128, 4, 2, 256, 128, 16, 8192, true),
    (192, 3, 1, 192, 64, 50, 2000, false),
    (384, 6, 2, 768, 48, 8, 12000, true),
    (256, 8, 3, 512, 128, 8, 4096, true),
    (128, 8, 1, 384, 512, 16, 512, true),
    (640, 10, 1, 1280, 96, 6, 6000, false),
    (320, 5, 1, 480, 160, 16, 2600, true),
    (512, 4, 1, 768, 448, 3, 2000, true),
    (1024, 16, 1, 1024, 64, 4, 32768, true),
    (384, 12, 1, 1152, 256, 4, 4000, false),
    (64, 1, 1, 96, 384, 10, 24000, false),
    (256, 4, 1, 1024, 64, 64, 512, true),
    (128, 2, 2, 256, 96, 60, 30000, true),
    (256, 2, 1, 512, 384, 8, 20000, true),
    (768, 6, 1, 3072, 32, 20, 1024, false),
    (384, 6, 1, 384, 128, 32, 512, true),
    (512, 8, 2, 1024, 64, 12, 32768, true),
    (64, 1, 4, 128, 32, 50, 1024, false),
    (512, 8, 1, 2048, 128, 16, 512, true),
    (192, 3, 6, 384, 128, 8, 2048, true),
    (768, 12, 1, 1536, 512, 4, 8000, true),
];

/// The chains that are measured.
pub fn chains() -> impl Iterator<Item = Chain> {
    ROWS.into_iter().map(|(width, heads, depth, half, sequence, batch, vocabulary, sparse)| Chain {
        width,
        heads,
        depth,
        half,
        sequence,
        batch,
        vocabulary,
        sparse,
    })
}
