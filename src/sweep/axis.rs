//! What is varied: `model.depth=4..24..2`, `model.width=256,512,768`.
//!
//! ```text
//! axis  = path "=" item { "," item }
//! item  = value | number ".." number [ ".." number ]
//! ```
//!
//! A value is recipe text, read as `--set` reads it: with units, arithmetic and the recipe's `let` names. `from..to..step` is a range with
//! both its ends; the step is 1 where it is left out, which only plain numbers can. Ends and step are numbers with units and arithmetic,
//! but without names: they are counted before the recipe is evaluated.

use std::ops::Range;

use super::MOST_POINTS;
use crate::diag::{Code, Diagnostic};
use crate::recipe::eval::evaluate_expression;
use crate::recipe::value::{Numeric, Quantity, ValueKind, written};
use crate::source::{SourceId, Sources, Span};
use crate::syntax::ast::Override;
use crate::syntax::{parse_expression, parse_override};

/// A field or a `let` name, and the values that it takes.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What is varied, as it is written.
    pub path: String,
    /// Its values in order, at least one.
    pub values: Vec<Value>,
}

/// A value of an axis.
#[derive(Clone, Debug)]
pub struct Value {
    /// As it is written.
    pub text: String,
    /// What stands in the recipe for it.
    pub instead: Override,
}

/// The axes of some texts, and what is wrong in them. Each text is a source of its own.
pub fn all(texts: &[String], sources: &mut Sources) -> (Vec<Axis>, Vec<Diagnostic>) {
    let (mut axes, mut diagnostics) = (Vec::<Axis>::new(), Vec::new());
    let mut points = 1_u64;
    for text in texts {
        let source = sources.add("--vary", text.as_str());
        let whole = Span::new(source, 0, text.len());
        match axis(source, text) {
            Ok(axis) if axes.iter().any(|other| other.path == axis.path) => {
                let message = format!("`{}` is varied twice", axis.path);
                let help = "give all of its values at once: `4..8,16`";
                diagnostics.push(Diagnostic::error(Code::BadOverride, whole, message).here("varied again").help(help));
            }
            Ok(axis) => {
                let before = points;
                points = points.saturating_mul(axis.values.len() as u64);
                if points > MOST_POINTS && before <= MOST_POINTS {
                    diagnostics.push(too_many(whole, points));
                }
                axes.push(axis);
            }
            Err(found) => diagnostics.extend(found),
        }
    }
    (axes, diagnostics)
}

fn too_many(span: Span, points: u64) -> Diagnostic {
    Diagnostic::error(Code::OutOfRange, span, format!("a sweep has at most {MOST_POINTS} points"))
        .here(format!("with this there are {points}"))
        .help("take a larger step, as in `4..24..4`, or fewer values")
}

fn axis(source: SourceId, text: &str) -> Result<Axis, Vec<Diagnostic>> {
    let Some(equals) = text.find('=') else {
        let whole = Span::new(source, 0, text.len());
        let diagnostic = Diagnostic::error(Code::BadOverride, whole, "what is varied is a path, `=` and values");
        let help = "write `--vary model.depth=4..24` or `--vary model.width=256,512`";
        return Err(vec![diagnostic.here("not `path=values`").help(help)]);
    };
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for item in split(text, equals + 1..text.len(), ",") {
        let line = Line { source, text, equals };
        match line.item(item) {
            Ok(more) => values.extend(more),
            Err(found) => errors.extend(found),
        }
        // A path that is none is one in every item.
        if errors.iter().any(|e| e.code == Code::BadOverride) {
            break;
        }
    }
    let path = text[..equals].split('.').map(str::trim).collect::<Vec<_>>().join(".");
    if errors.is_empty() { Ok(Axis { path, values }) } else { Err(errors) }
}

/// The parts of a text between separators that stand in no brackets and no quotes.
fn split(text: &str, range: Range<usize>, separator: &str) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), range.start, 0_i32, None);
    let mut characters = text[range.clone()].char_indices();
    while let Some((i, c)) = characters.next() {
        let at = range.start + i;
        match (quote, c) {
            (Some(_), '\\') => _ = characters.next(),
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, _) if depth <= 0 && at >= start && text[at..range.end].starts_with(separator) => {
                parts.push(start..at);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(start..range.end);
    parts
}

/// A text on the command line.
#[derive(Clone, Copy)]
struct Line<'t> {
    source: SourceId,
    text: &'t str,
    equals: usize,
}

impl Line<'_> {
    fn span(&self, part: &Range<usize>) -> Span {
        let written = &self.text[part.clone()];
        let start = part.start + written.len() - written.trim_start().len();
        Span::new(self.source, start, start + written.trim().len())
    }

    /// The text with blanks in place of all but the path and `value` at `start`, so that spans are right.
    fn alone(&self, start: usize, value: &str) -> String {
        let path = &self.text[..=self.equals];
        format!("{path}{:1$}{value}", "", start.saturating_sub(path.len()))
    }

    fn item(&self, item: Range<usize>) -> Result<Vec<Value>, Vec<Diagnostic>> {
        let parts = split(self.text, item.clone(), "..");
        match parts.as_slice() {
            [_] => {
                let instead = parse_override(self.source, &self.alone(item.start, &self.text[item.clone()]))?;
                Ok(vec![Value { text: self.text[item].trim().to_owned(), instead }])
            }
            [from, to] => self.range(&item, from, to, None),
            [from, to, step] => self.range(&item, from, to, Some(step)),
            _ => Err(vec![self.refuse(
                Code::BadOverride,
                &item,
                "a range has two ends and a step at most",
                "write `from..to..step`",
            )]),
        }
    }

    fn refuse(&self, code: Code, part: &Range<usize>, message: impl Into<String>, help: &str) -> Diagnostic {
        Diagnostic::error(code, self.span(part), message).here("this range").help(help)
    }

    fn range(
        &self,
        item: &Range<usize>,
        from: &Range<usize>,
        to: &Range<usize>,
        step: Option<&Range<usize>>,
    ) -> Result<Vec<Value>, Vec<Diagnostic>> {
        if self.text[to.clone()].starts_with('=') {
            return Err(vec![self.refuse(
                Code::BadOverride,
                item,
                "a range has both its ends anyway",
                "leave the `=` out: `4..24`",
            )]);
        }
        let (from, to) = (self.number(from)?, self.number(to)?);
        let step = step.map(|step| self.number(step)).transpose()?.unwrap_or(Quantity::plain(Numeric::Integer(1)));
        if from.dimension != to.dimension || from.dimension != step.dimension {
            let message = "ends and step of a range do not measure the same";
            return Err(vec![self.refuse(Code::WrongType, item, message, "write the step with its unit: `4GiB..12GiB..2GiB`")]);
        }
        let steps = (to.number.as_f64() - from.number.as_f64()) / step.number.as_f64();
        if step.number.as_f64() <= 0.0 || steps < 0.0 || steps.is_nan() {
            let message = "a range goes up from its first end to its second";
            return Err(vec![self.refuse(Code::OutOfRange, item, message, "write the smaller end first, and a step above zero")]);
        }
        if steps >= MOST_POINTS as f64 {
            return Err(vec![too_many(self.span(item), (steps as u64).saturating_add(1))]);
        }
        // The second end is met where only rounding keeps the last step from it.
        let count = (steps + 1e-9) as i128;
        (0..=count).map(|i| self.value(item, &from, &step, i)).collect()
    }

    /// The value after so many steps.
    fn value(&self, item: &Range<usize>, from: &Quantity, step: &Quantity, i: i128) -> Result<Value, Vec<Diagnostic>> {
        let number = match (from.number, step.number) {
            (Numeric::Integer(from), Numeric::Integer(step)) => Numeric::Integer(from.saturating_add(step.saturating_mul(i))),
            (from, step) => Numeric::Float(without_dust(from.as_f64() + step.as_f64() * i as f64)),
        };
        let text = written(&ValueKind::Number(Quantity { number, dimension: from.dimension }));
        // As near to its range as the text is long, so that every place lies in it.
        let start = item.start.min(self.text.len().saturating_sub(text.len()));
        let instead = parse_override(self.source, &self.alone(start, &text))?;
        Ok(Value { text, instead })
    }

    /// An end or a step.
    fn number(&self, part: &Range<usize>) -> Result<Quantity, Vec<Diagnostic>> {
        // The path is looked at once more: what is wrong with it is said first.
        parse_override(self.source, &self.alone(part.start, "0"))?;
        let padded = " ".repeat(part.start) + &self.text[part.clone()];
        let (expression, mut errors) = parse_expression(self.source, &padded);
        let Some(expression) = expression.filter(|_| errors.is_empty()) else { return Err(errors) };
        let (value, found) = evaluate_expression(&expression);
        errors.extend(found);
        match value.kind {
            ValueKind::Number(quantity) if errors.is_empty() => Ok(quantity),
            ValueKind::Number(_) | ValueKind::Poisoned => Err(errors),
            other => {
                let message = format!("a range goes from number to number, found {}", other.describe());
                let help = "names and other values can stand in a list: `256,512`";
                Err(vec![Diagnostic::error(Code::WrongType, value.span, message).here("not a number").help(help)])
            }
        }
    }
}

/// A float without what adding steps left in its last digits.
fn without_dust(x: f64) -> f64 {
    format!("{x:.12e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        match axis(SourceId(0), text) {
            Ok(axis) => Ok(axis.values.into_iter().map(|value| value.text).collect()),
            Err(errors) => {
                let first = &errors[0];
                let span = first.span().unwrap();
                Err(format!("{} at `{}`", first.code, &text[span.start as usize..span.end as usize]))
            }
        }
    }

    #[test]
    fn ranges_have_both_ends_and_lists_keep_their_order() {
        let values = |text: &str| read(text).unwrap().join(" ");
        assert_eq!(values("model.depth=4..7"), "4 5 6 7");
        assert_eq!(values("model.depth=4..24..8"), "4 12 20");
        assert_eq!(values("d=16, 2..4 ,8"), "16 2 3 4 8");
        assert_eq!(values("x=0.1..0.5..0.1"), "0.1 0.2 0.3 0.4 0.5");
        assert_eq!(values("budget.memory=4GiB..8GiB..2GiB"), "4GiB 6GiB 8GiB");
        assert_eq!(values("objective.rate=15%..45%..15%"), "15% 30% 45%");
        assert_eq!(values("w=64*4..64*6..64"), "256 320 384");
        assert_eq!(values("batch=Constant(8),Ramp(to: 16, until: 50%)"), "Constant(8) Ramp(to: 16, until: 50%)");
        assert_eq!(values(r#"budget.device="a,b..c",'d'"#), r#""a,b..c" 'd'"#);
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let errors = [
            ("model.depth", "bad-override at `model.depth`"),
            ("model.2x=4", "bad-override at `2x`"),
            ("model.2x=4..6", "bad-override at `2x`"),
            ("d=4..=6", "bad-override at `4..=6`"),
            ("d=1..2..3..4", "bad-override at `1..2..3..4`"),
            ("d=8,6..4", "out-of-range at `6..4`"),
            ("d=1..9..0", "out-of-range at `1..9..0`"),
            ("d=1..9000000", "out-of-range at `1..9000000`"),
            ("m=1GiB..4GiB", "wrong-type at `1GiB..4GiB`"),
            ("d=a..4", "wrong-type at `a`"),
            ("d=4,,6", "syntax-missing-value at ``"),
        ];
        for (text, wanted) in errors {
            assert_eq!(read(text).unwrap_err(), wanted, "{text}");
        }
    }
}
