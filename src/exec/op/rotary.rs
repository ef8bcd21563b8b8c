//! Rotary positions.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, flat};
use crate::exec::host::pieces;
use crate::step::op::Rotate;

impl Run for Rotate {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let (half, sequence) = (frame.dim(1, 1), self.sequence as usize);
        let (cos, sin) = frame.floats(1).split_at(sequence * half);
        let sign = if self.back { -1.0 } else { 1.0 };
        let [out] = frame.take();
        pieces(out, sequence * d, |_, out| {
            for (place, row) in out.chunks_exact_mut(d).enumerate() {
                let (cos, sin) = (&cos[place * half..][..half], &sin[place * half..][..half]);
                for head in row.chunks_exact_mut(2 * half) {
                    let (a, b) = head.split_at_mut(half);
                    for i in 0..half {
                        let (x, y, sin) = (a[i], b[i], sign * sin[i]);
                        a[i] = x * cos[i] - y * sin;
                        b[i] = y * cos[i] + x * sin;
                    }
                }
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (half, sequence, heads) = (x.dim(1, 1), self.sequence as usize, self.heads as usize);
        let elements = sequence * half;
        let (input, table) = (x.flat(0), x.flat(1));
        let cos: Tensor<4> = table.clone().narrow(0, 0, elements).reshape([1, sequence, 1, half]);
        let sin: Tensor<4> = table.narrow(0, elements, elements).reshape([1, sequence, 1, half]);
        let sin = if self.back { sin.neg() } else { sin };
        let input: Tensor<3> = input.reshape([-1, 2, half as isize]);
        let input = input.swap_dims(0, 1);
        let part = |x: Tensor<3>, i: usize| -> Tensor<4> {
            x.narrow(0, i, 1).reshape([-1, sequence as isize, heads as isize, half as isize])
        };
        let a = part(input.clone(), 0);
        let b = part(input, 1);
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        let second = b * cos + a * sin;
        let both = Tensor::cat(vec![flat(first), flat(second)], 0);
        let both: Tensor<3> = both.reshape([2, -1, half as isize]);
        vec![flat(both.swap_dims(0, 1))]
    }
}
