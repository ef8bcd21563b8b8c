//! Operators: their sides must be numbers, and what fails is shown with the values of its parts.

use super::Evaluator;
use crate::diag::{Code, Diagnostic};
use crate::recipe::suggest::{is_slip, nearest};
use crate::recipe::value::{Impossible, Quantity, ValueKind, written};
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind, Ident};

impl Evaluator<'_> {
    pub(super) fn arithmetic(&mut self, expr: &Expr) -> Option<Quantity> {
        match &expr.kind {
            ExprKind::Binary(operator, left, right) => {
                let (a, b) = (self.operand(left), self.operand(right));
                let (a, b) = (a?, b?);
                a.combine(*operator, &b).map_err(|why| self.report(failed(expr.span, why, &[(left, &a), (right, &b)]))).ok()
            }
            ExprKind::Negate(inner) => {
                let a = self.operand(inner)?;
                a.negated().map_err(|why| self.report(failed(expr.span, why, &[(inner, &a)]))).ok()
            }
            _ => None,
        }
    }

    /// One side of an operator, which must be a number.
    fn operand(&mut self, expr: &Expr) -> Option<Quantity> {
        let kind = match &expr.kind {
            ExprKind::Group(inner) => return self.operand(inner),
            ExprKind::Name(name) => self.lookup(name).unwrap_or_else(|| self.unknown_name(name)),
            _ => self.value(expr).kind,
        };
        match kind {
            ValueKind::Number(quantity) => Some(quantity),
            ValueKind::Poisoned => None,
            other => {
                let message = format!("arithmetic wants numbers, found {}", other.describe());
                let diagnostic = Diagnostic::error(Code::Arithmetic, expr.span, message).here("not a number");
                self.report(diagnostic.help("`+`, `-`, `*` and `/` work on numbers only"));
                None
            }
        }
    }

    fn unknown_name(&mut self, name: &Ident) -> ValueKind {
        let names = || self.scope.bindings.keys().map(String::as_str);
        let close = nearest(&name.text, names()).map(str::to_owned);
        let safe = close.as_ref().is_some_and(|close| is_slip(&name.text, close, names()));
        if self.scope.broken {
            return ValueKind::Poisoned;
        }
        let diagnostic = Diagnostic::error(Code::UnknownName, name.span, format!("there is no `let` name `{}`", name.text));
        let diagnostic = match close {
            Some(close) => {
                diagnostic.help(format!("did you mean `{close}`?")).fix(format!("write `{close}`"), safe, name.span, close)
            }
            None => diagnostic
                .help(format!("define it at the head of the file: `let {} = 1;`; a text stands in double quotes", name.text)),
        };
        self.report(diagnostic.here("not defined"))
    }
}

/// Arithmetic without a result; parts that are not plain to see are shown with their values.
fn failed(span: Span, why: Impossible, parts: &[(&Expr, &Quantity)]) -> Diagnostic {
    let hidden = parts.iter().filter(|(expr, _)| !matches!(expr.kind, ExprKind::Number(_)));
    hidden.fold(arithmetic_error(span, why), |diagnostic, (expr, quantity)| {
        diagnostic.and(expr.span, format!("this is {}", written(&ValueKind::Number((*quantity).clone()))))
    })
}

/// Arithmetic without a result.
pub(super) fn arithmetic_error(span: Span, why: Impossible) -> Diagnostic {
    Diagnostic::error(Code::Arithmetic, span, why.message).here("cannot be computed").help(why.help)
}
