//! Laws of time: from a few measured operations of a kind to the time of any.
//!
//! A law is a sum of terms with costs that are not negative (so many nanoseconds a multiply-add, so many an element of each
//! operand, so many a call), fitted to the measurements, times a correction: what the measurements near the shape lie above or
//! below that sum. What the terms are follows from how the kernels work; the costs are the machine's.
//!
//! Invariant: at a measured shape a law gives the measured time (to a millionth, where the next shape is not within a tenth of a
//! percent); elsewhere it lies within the sum of terms times the least and
//! the largest correction, also far outside what was measured; so it is positive, and grows with the work as the sum does.

use serde::{Deserialize, Serialize};

/// Most extents that describe an operation.
pub const EXTENTS: usize = 4;

/// Most terms of a law.
pub const TERMS: usize = 5;

/// What is timed together: the operations of the step, matrix products by how they read their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// a·b; extents m, n, k of m×k by k×n.
    Product,
    /// aᵀ·b; m, n, k.
    ProductTransposeA,
    /// a·bᵀ; m, n, k.
    ProductTransposeB,
    /// sum + a·b; m, n, k.
    Accumulate,
    /// sum + aᵀ·b; m, n, k.
    AccumulateTransposeA,
    /// sum + a·bᵀ; m, n, k.
    AccumulateTransposeB,
    /// Sequences, heads, tokens in a sequence, width of a head.
    Attention,
    /// As attention.
    AttentionGradient,
    /// Rows, width.
    LayerNorm,
    /// Rows, width.
    LayerNormGradient,
    /// Rows, width.
    RmsNorm,
    /// Rows, width.
    RmsNormGradient,
    /// Elements.
    Gate,
    /// Elements.
    GateGradient,
    /// Elements.
    Activation,
    /// Elements.
    ActivationGradient,
    /// Elements.
    Add,
    /// Sequences, elements of the table.
    AddPosition,
    /// Sequences, elements of the table.
    PositionGradient,
    /// How often the table is added, elements of it that are used.
    AddTable,
    /// How often the table was added, elements of it that are used.
    TableGradient,
    /// Elements.
    Rotate,
    /// Elements.
    Scale,
    /// Elements.
    Dropout,
    /// Rows read, width, rows of the table.
    Embedding,
    /// Rows added, width, rows of the table.
    EmbeddingGradient,
    /// Rows selected, width.
    SelectRows,
    /// Rows placed, width, rows of the result.
    ScatterRows,
    /// Rows, columns.
    CrossEntropy,
    /// Rows, columns.
    CrossEntropyGradient,
    /// Elements.
    Zeros,
    /// Elements.
    SumSquares,
    /// Sums.
    ClipFactor,
    /// Elements.
    AdamW,
    /// With L2 decay, rectified or not. Elements.
    Adam,
    /// Elements.
    Lamb,
    /// Elements.
    Lion,
    /// Elements, and how many moments are kept of each.
    Sgd,
    /// Elements, and how many first moments are kept of each.
    Adafactor,
    /// The shorter and the longer side of a matrix.
    Muon,
    /// What a micro-step takes beside its operations: masking and feeding the batch, handing tensors over, reading the loss.
    /// Operations, tokens.
    MicroStep,
    /// What an update takes beside its operations. Operations.
    Update,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 42] = [
        Self::Product,
        Self::ProductTransposeA,
        Self::ProductTransposeB,
        Self::Accumulate,
        Self::AccumulateTransposeA,
        Self::AccumulateTransposeB,
        Self::Attention,
        Self::AttentionGradient,
        Self::LayerNorm,
        Self::LayerNormGradient,
        Self::RmsNorm,
        Self::RmsNormGradient,
        Self::Gate,
        Self::GateGradient,
        Self::Activation,
        Self::ActivationGradient,
        Self::Add,
        Self::AddPosition,
        Self::PositionGradient,
        Self::AddTable,
        Self::TableGradient,
        Self::Rotate,
        Self::Scale,
        Self::Dropout,
        Self::Embedding,
        Self::EmbeddingGradient,
        Self::SelectRows,
        Self::ScatterRows,
        Self::CrossEntropy,
        Self::CrossEntropyGradient,
        Self::Zeros,
        Self::SumSquares,
        Self::ClipFactor,
        Self::AdamW,
        Self::Adam,
        Self::Lamb,
        Self::Lion,
        Self::Sgd,
        Self::Adafactor,
        Self::Muon,
        Self::MicroStep,
        Self::Update,
    ];

    /// Whether it is a matrix product.
    pub fn is_product(self) -> bool {
        self as usize <= Self::AccumulateTransposeB as usize
    }
}

/// An operation as a law sees it: its kind and its extents, those that the kind does not have being 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work {
    /// Which law.
    pub kind: Kind,
    /// The extents that the kind names.
    pub extents: [u64; EXTENTS],
}

impl Work {
    /// Some work of a kind.
    pub fn new(kind: Kind, extents: &[u64]) -> Self {
        let mut all = [0; EXTENTS];
        for (to, from) in all.iter_mut().zip(extents) {
            *to = *from;
        }
        Self { kind, extents: all }
    }

    /// The terms of its law on a machine with so many threads; those that the kind does not have are 0.
    ///
    /// Where a kernel cuts its work into pieces for the threads, the term is that of the thread with most pieces, times the
    /// threads.
    pub fn terms(&self, threads: u64) -> [f64; TERMS] {
        let [a, b, c, d] = self.extents.map(|x| x as f64);
        let shared = |units: f64| whole_rounds(units, threads);
        match self.kind {
            kind if kind.is_product() => [1.0, a * b, a * c, b * c, a * b * c],
            Kind::Attention | Kind::AttentionGradient => {
                let heads = shared(a) * b;
                // The last: the squares of all sequences, which are asked for and zeroed by one thread.
                [1.0, heads * c * c, heads * c * d, heads * c * c * d, a * b * c * c]
            }
            Kind::LayerNorm | Kind::LayerNormGradient | Kind::RmsNorm | Kind::RmsNormGradient => {
                let rows = in_pieces(a, ROWS, threads);
                [1.0, rows, rows * b, a * b, 0.0]
            }
            Kind::CrossEntropy | Kind::CrossEntropyGradient => [1.0, shared(a), shared(a) * b, 0.0, 0.0],
            Kind::AddPosition | Kind::PositionGradient | Kind::AddTable | Kind::TableGradient => {
                [1.0, a, shared(a) * b, 0.0, 0.0]
            }
            Kind::Embedding | Kind::EmbeddingGradient | Kind::ScatterRows => [1.0, a, a * b, b * c, 0.0],
            Kind::SelectRows => [1.0, a, a * b, 0.0, 0.0],
            Kind::MicroStep => [1.0, a, b, 0.0, 0.0],
            Kind::ClipFactor | Kind::Update | Kind::Zeros => [1.0, a, 0.0, 0.0, 0.0],
            Kind::Muon => [1.0, a * b, a * a, a * a * b, a * a * a],
            Kind::Sgd | Kind::Adafactor => {
                let elements = in_pieces(a, ELEMENTS, threads);
                [1.0, elements, elements * b, 0.0, 0.0]
            }
            Kind::SumSquares => [1.0, in_pieces(a, SUM, threads), 0.0, 0.0, 0.0],
            _ => [1.0, in_pieces(a, ELEMENTS, threads), 0.0, 0.0, 0.0],
        }
    }

    /// Where it lies among other work of its kind: the logarithms of its extents.
    fn place(&self) -> [f32; EXTENTS] {
        self.extents.map(|x| if x <= 1 { 0.0 } else { libm::logf(x as f32) })
    }
}

/// Rows of a piece of a norm, elements of a piece of elementwise work and of a sum of squares: as in the CPU's kernels. On
/// other devices they are only where a small term begins.
const ROWS: f64 = 64.0;
const ELEMENTS: f64 = 16_384.0;
const SUM: f64 = 65_536.0;

/// Units of work as the threads share them: whole rounds of one unit a thread.
fn whole_rounds(units: f64, threads: u64) -> f64 {
    let threads = threads.max(1) as f64;
    libm::ceil(units / threads) * threads
}

/// As [`whole_rounds`], where the units come in pieces; a single piece may be smaller.
fn in_pieces(units: f64, piece: f64, threads: u64) -> f64 {
    if units <= piece { units * threads.max(1) as f64 } else { whole_rounds(libm::ceil(units / piece), threads) * piece }
}

/// A measured time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u64, u64, f64, f64)", into = "(u64, u64, u64, u64, f64, f64)")]
pub struct Entry {
    /// The extents.
    pub extents: [u64; EXTENTS],
    /// Median of the times seen, seconds.
    pub seconds: f64,
    /// Half of what lies between the quarters of the times seen, as a share of the median.
    pub spread: f64,
}

impl From<(u64, u64, u64, u64, f64, f64)> for Entry {
    fn from((a, b, c, d, seconds, spread): (u64, u64, u64, u64, f64, f64)) -> Self {
        Self { extents: [a, b, c, d], seconds, spread }
    }
}

impl From<Entry> for (u64, u64, u64, u64, f64, f64) {
    /// Five figures of the seconds and a tenth of a percent of the spread are kept.
    fn from(entry: Entry) -> Self {
        let [a, b, c, d] = entry.extents;
        (a, b, c, d, figures(entry.seconds), libm::round(entry.spread * 1e3) / 1e3)
    }
}

/// A number to five figures, so that it is short where it is written.
fn figures(x: f64) -> f64 {
    format!("{x:.4e}").parse().unwrap_or(x)
}

/// The law of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Law {
    threads: u64,
    costs: [f64; TERMS],
    corrections: Vec<Lanes>,
}

/// Measurements side by side, so that the compiler can look at several at once.
const LANES: usize = 8;

/// Some measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lanes {
    /// Their places, axis by axis.
    places: [[f32; LANES]; EXTENTS],
    /// By which factor each lies above the sum of terms, as a logarithm.
    corrections: [f32; LANES],
    /// 1, or 0 where there is no measurement.
    there: [f32; LANES],
}

/// The least that anything takes, seconds: what looking at a clock takes.
const LEAST: f64 = 2e-8;

impl Law {
    /// The law of what was measured; none where nothing was.
    pub fn fit(kind: Kind, entries: &[Entry], threads: u64) -> Option<Self> {
        let rows: Vec<([f64; TERMS], f64)> = entries
            .iter()
            .filter(|entry| entry.seconds > 0.0)
            .map(|entry| (Work { kind, extents: entry.extents }.terms(threads), entry.seconds))
            .collect();
        if rows.is_empty() {
            return None;
        }
        Some(Self::with_costs(kind, least_squares(&rows), entries, threads))
    }

    /// A law whose costs are known, corrected by what was measured.
    pub fn with_costs(kind: Kind, costs: [f64; TERMS], entries: &[Entry], threads: u64) -> Self {
        let mut law = Self { threads, costs, corrections: Vec::new() };
        let measured: Vec<&Entry> = entries.iter().filter(|entry| entry.seconds > 0.0).collect();
        law.corrections = measured.chunks(LANES).map(|entries| law.lanes(kind, entries)).collect();
        law
    }

    fn lanes(&self, kind: Kind, entries: &[&Entry]) -> Lanes {
        let mut lanes = Lanes { places: [[0.0; LANES]; EXTENTS], corrections: [0.0; LANES], there: [0.0; LANES] };
        for (i, entry) in entries.iter().enumerate() {
            let work = Work { kind, extents: entry.extents };
            for (axis, x) in lanes.places.iter_mut().zip(work.place()) {
                axis[i] = x;
            }
            lanes.corrections[i] = libm::log(entry.seconds / self.sum(&work)) as f32;
            lanes.there[i] = 1.0;
        }
        lanes
    }

    /// The cost of each term, seconds.
    pub fn costs(&self) -> [f64; TERMS] {
        self.costs
    }

    fn sum(&self, work: &Work) -> f64 {
        let terms = work.terms(self.threads);
        self.costs.iter().zip(terms).map(|(cost, term)| cost * term).sum::<f64>().max(LEAST)
    }

    /// How long some work takes, seconds.
    pub fn seconds(&self, work: &Work) -> f64 {
        self.sum(work) * f64::from(libm::expf(self.correction(&work.place())))
    }

    /// The mean of the corrections, each with the weight of its inverse distance to the fourth: Shepard 1968, "A two-dimensional
    /// interpolation function for irregularly-spaced data". What lies within a thousandth counts as there.
    fn correction(&self, place: &[f32; EXTENTS]) -> f32 {
        let (mut weights, mut sums) = ([0f32; LANES], [0f32; LANES]);
        for lanes in &self.corrections {
            let mut squares = [1e-7f32; LANES];
            for (axis, x) in lanes.places.iter().zip(place) {
                for (square, y) in squares.iter_mut().zip(axis) {
                    *square += (x - y) * (x - y);
                }
            }
            for i in 0..LANES {
                let weight = lanes.there[i] / (squares[i] * squares[i]);
                weights[i] += weight;
                sums[i] += weight * lanes.corrections[i];
            }
        }
        let weight: f32 = weights.iter().sum();
        if weight > 0.0 { sums.iter().sum::<f32>() / weight } else { 0.0 }
    }
}

/// Costs c ≥ 0 for which Σ (c·terms/seconds − 1)² is least. Each set of terms is solved for, and the best without a negative
/// cost is the answer: with at most five terms that is exact and quick.
fn least_squares(rows: &[([f64; TERMS], f64)]) -> [f64; TERMS] {
    let scale: [f64; TERMS] = std::array::from_fn(|i| rows.iter().map(|(terms, t)| terms[i] / t).fold(0.0, f64::max));
    let scaled: Vec<[f64; TERMS]> = rows
        .iter()
        .map(|(terms, t)| std::array::from_fn(|i| if scale[i] > 0.0 { terms[i] / t / scale[i] } else { 0.0 }))
        .collect();
    let miss = |costs: &[f64; TERMS]| -> f64 {
        scaled.iter().map(|row| row.iter().zip(costs).map(|(a, c)| a * c).sum::<f64>() - 1.0).map(|d| d * d).sum()
    };
    let mut best = ([0.0; TERMS], f64::INFINITY);
    for set in 1_u32..1 << TERMS {
        let chosen: Vec<usize> = (0..TERMS).filter(|i| set >> i & 1 == 1).collect();
        let Some(costs) = solve(&scaled, &chosen).filter(|costs| costs.iter().all(|c| *c >= 0.0)) else { continue };
        let missed = miss(&costs);
        if missed < best.1 {
            best = (costs, missed);
        }
    }
    std::array::from_fn(|i| if scale[i] > 0.0 { best.0[i] / scale[i] } else { 0.0 })
}

/// The normal equations of the chosen terms, by Gauss with pivots; none where they have no single solution.
fn solve(rows: &[[f64; TERMS]], chosen: &[usize]) -> Option<[f64; TERMS]> {
    let n = chosen.len();
    let mut m = [[0.0; TERMS + 1]; TERMS];
    for (i, a) in chosen.iter().enumerate() {
        for (j, b) in chosen.iter().enumerate() {
            m[i][j] = rows.iter().map(|row| row[*a] * row[*b]).sum();
        }
        m[i][n] = rows.iter().map(|row| row[*a]).sum();
    }
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| m[*a][i].abs().total_cmp(&m[*b][i].abs()))?;
        m.swap(i, pivot);
        if m[i][i].abs() < 1e-12 {
            return None;
        }
        let row = m[i];
        for other in m.iter_mut().take(n).skip(i + 1) {
            let factor = other[i] / row[i];
            for (x, y) in other.iter_mut().zip(row) {
                *x -= factor * y;
            }
        }
    }
    let mut costs = [0.0; TERMS];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| m[i][j] * costs[chosen[j]]).sum();
        costs[chosen[i]] = (m[i][n] - known) / m[i][i];
    }
    Some(costs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Extents such as models have: none nearer to another than a percent.
    fn extents() -> impl Strategy<Value = [u64; EXTENTS]> {
        [1..130_u64, 1..130_u64, 1..130_u64, 1..8_u64].prop_map(|all| all.map(|x| 32 * x))
    }

    fn kind() -> impl Strategy<Value = Kind> {
        (0..Kind::ALL.len()).prop_map(|i| Kind::ALL[i])
    }

    /// Measurements of different shapes.
    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        prop::collection::btree_map(extents(), 1e-6..1.0_f64, 1..40)
            .prop_map(|all| all.into_iter().map(|(extents, seconds)| Entry { extents, seconds, spread: 0.0 }).collect())
    }

    proptest! {
        #[test]
        fn at_a_measured_shape_it_gives_the_measured_time(kind in kind(), entries in entries()) {
            let law = Law::fit(kind, &entries, 2).unwrap();
            for entry in &entries {
                let said = law.seconds(&Work { kind, extents: entry.extents });
                prop_assert!((said / entry.seconds - 1.0).abs() < 1e-4, "{said} for {}", entry.seconds);
            }
        }

        #[test]
        fn anywhere_it_lies_between_the_corrections_of_its_sum(kind in kind(), entries in entries(), extents in extents()) {
            let law = Law::fit(kind, &entries, 2).unwrap();
            let work = Work { kind, extents };
            let factor = law.seconds(&work) / law.sum(&work);
            let measured = law.corrections.iter().flat_map(|lanes| lanes.corrections.iter().zip(lanes.there));
            let corrections = measured.filter(|(_, there)| *there > 0.0).map(|(c, _)| libm::exp(f64::from(*c)));
            let (least, most) = corrections.fold((f64::MAX, 0.0), |(a, b): (f64, f64), c| (a.min(c), b.max(c)));
            prop_assert!(law.seconds(&work) > 0.0);
            prop_assert!(factor >= least * 0.999 && factor <= most * 1.001, "{factor} not in {least}..{most}");
        }

        #[test]
        fn more_of_any_extent_is_never_less_in_any_term(kind in kind(), extents in extents(), axis in 0..EXTENTS, more in 1..300_u64, threads in 1..65_u64) {
            let mut larger = extents;
            larger[axis] += more;
            let terms = |extents| Work { kind, extents }.terms(threads);
            for (a, b) in terms(extents).into_iter().zip(terms(larger)) {
                prop_assert!(b >= a);
            }
        }

        #[test]
        fn no_cost_is_negative(kind in kind(), entries in entries()) {
            prop_assert!(Law::fit(kind, &entries, 2).unwrap().costs().iter().all(|c| *c >= 0.0 && c.is_finite()));
        }
    }

    #[test]
    fn the_costs_of_a_machine_that_follows_the_law_are_found() {
        let costs = [2e-5, 1e-10, 3e-11, 2e-10, 4.4e-12];
        let entries: Vec<Entry> = (0..60_u64)
            .map(|i| {
                let extents = [64 << (i % 5), 64 + 96 * (i % 7), 64 + 160 * (i % 3), 0];
                let terms = Work { kind: Kind::Product, extents }.terms(2);
                Entry { extents, seconds: terms.iter().zip(costs).map(|(t, c)| t * c).sum(), spread: 0.0 }
            })
            .collect();
        let found = Law::fit(Kind::Product, &entries, 2).unwrap().costs();
        for (found, cost) in found.into_iter().zip(costs) {
            assert!((found / cost - 1.0).abs() < 1e-6, "{found} for {cost}");
        }
    }

    #[test]
    fn far_outside_the_time_is_that_of_the_sum_times_the_mean_correction() {
        let entry = |rows, seconds| Entry { extents: [rows, 64, 0, 0], seconds, spread: 0.0 };
        let law = Law::fit(Kind::LayerNorm, &[entry(64, 1e-5), entry(128, 2e-5), entry(256, 4e-5)], 2).unwrap();
        let work = |rows| Work::new(Kind::LayerNorm, &[rows, 64]);
        assert!((law.seconds(&work(64 << 20)) / law.seconds(&work(64 << 19)) - 2.0).abs() < 0.01);
    }

    #[test]
    fn pieces_go_to_the_threads_in_whole_rounds() {
        assert_eq!(in_pieces(10.0, 64.0, 2), 20.0);
        assert_eq!(in_pieces(65.0, 64.0, 2), 128.0);
        assert_eq!(in_pieces(129.0, 64.0, 2), 256.0);
    }

    #[test]
    fn kinds_are_listed_in_their_order() {
        assert!(Kind::ALL.iter().enumerate().all(|(i, kind)| *kind as usize == i));
    }
}
