//! Muon: the momentum of a matrix, made orthogonal.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::clipped;
use super::lamb::norm;
use crate::step::op::{Chain, Host, MatMul, Packed, Rule, Signature, Types};
use crate::step::tensor::TensorType;
use crate::units::{Bytes, Flops};

/// (weight `[R, C]`, gradient, first moment, norm and factor `[2]`) → the weight and the moment.
///
/// Jordan et al. 2024 ("Muon: an optimizer for hidden layers in neural networks"): m ← μm + g; u = m, or g + μm with Nesterov's momentum;
/// X = u/(‖u‖ + 10⁻⁷), and five times X ← aX + (bA + cA²)X with A = X·Xᵀ; for R > C, A = Xᵀ·X stands on X's right, which is the same of
/// the transposed matrix. w ← w·(1 − lr·k·decay) − lr·k·√max(1, C/R)·X: our matrices are `[in, out]`, and the scale is that of outputs over
/// inputs. k is the rate of matrices as a multiple of the schedule's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Muon {
    /// Momentum μ.
    pub momentum: f64,
    /// Whether it looks ahead.
    pub nesterov: bool,
    /// The rate as a multiple of the schedule's.
    pub rate: f64,
    /// Decoupled weight decay; zero for parameters that do not decay.
    pub weight_decay: f64,
}

impl Muon {
    /// How often the polynomial is applied.
    pub const STEPS: u64 = 5;

    /// a, b and c: they take singular values to about 1 in few steps, not exactly to it.
    pub const POLYNOMIAL: [f64; 3] = [3.4445, -4.7750, 2.0315];

    /// The products of a step: A, A², and what is added to X; each with its extents.
    pub fn products(rows: u64, columns: u64) -> [(MatMul, (u64, u64, u64)); 3] {
        let (short, long) = (rows.min(columns), rows.max(columns));
        let square = (MatMul::PLAIN, (short, short, short));
        if rows > columns {
            [(MatMul::TRANSPOSE_A, (short, short, long)), square, (MatMul::PLAIN, (long, short, short))]
        } else {
            [(MatMul::TRANSPOSE_B, (short, short, long)), square, (MatMul::PLAIN, (short, long, short))]
        }
    }
}

fn extents(types: Signature<'_>) -> (u64, u64) {
    (types.inputs[0].dim(0), types.inputs[0].dim(1))
}

impl Rule for Muon {
    fn name(&self) -> &'static str {
        "Muon"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], inputs[2]]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        let (rows, columns) = extents(types);
        Self::products(rows, columns).into_iter().map(|(_, (m, n, k))| Flops::matmul(m, n, k)).sum::<Flops>() * Self::STEPS
    }

    /// X twice, A and the polynomial of it, and what the largest product copies.
    fn host_workspace(&self, types: Signature<'_>, host: Host) -> Bytes {
        let (rows, columns) = extents(types);
        let short = rows.min(columns);
        let copies = self.host_products(types, host).into_iter().map(|product| product.bytes).max().unwrap_or_default();
        Bytes((rows * columns + short * short).saturating_mul(8)) + copies
    }

    fn host_products(&self, types: Signature<'_>, host: Host) -> Vec<Packed> {
        let (rows, columns) = extents(types);
        Self::products(rows, columns).into_iter().map(|(rule, extents)| host.panels.product(rule, extents)).collect()
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (rows, columns) = extents(types);
        let (w, g) = clipped(types, c, 3);
        let m = c.flat(types, 2);
        let m = c.unary(m);
        let (m, u) = if self.nesterov {
            let same = c.again(&g);
            let m = c.binary(m, same);
            let part = c.again(&m);
            let part = c.unary(part);
            let u = c.binary(g, part);
            (m, u)
        } else {
            let m = c.binary(m, g);
            let u = c.again(&m);
            (m, u)
        };
        let same = c.again(&u);
        let length = norm(c, same, rows);
        let length = c.unary(length);
        let x = c.binary(u, length);
        let mut x = c.reshape(x, &[rows, columns]);
        for _ in 0..Self::STEPS {
            let (left, right) = (c.again(&x), c.again(&x));
            let a = if rows > columns {
                let left = c.transpose(left);
                c.matmul(left, right)
            } else {
                let right = c.transpose(right);
                c.matmul(left, right)
            };
            let (left, right) = (c.again(&a), c.again(&a));
            let square = c.matmul(left, right);
            let square = c.unary(square);
            let a = c.unary(a);
            let polynomial = c.binary(square, a);
            let same = c.again(&x);
            let product = if rows > columns { c.matmul(same, polynomial) } else { c.matmul(polynomial, same) };
            x = c.unary(x);
            x = c.binary(x, product);
        }
        let step = c.reshape(x, &[0]);
        let step = c.unary(step);
        let w = c.unary(w);
        let w = c.binary(w, step);
        c.output(w);
        c.output(m);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (2, 1)]
    }
}
