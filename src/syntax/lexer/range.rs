//! `..`: what an import begins with, or a range of RON, which no recipe holds.
//!
//! Invariant: a range is one `Bad` token, from the number before it, with its unit, to the number after it, and one fault.

use nom::Offset;

use super::super::literal::{Fault, continues_name, number};
use super::{Kind, Lexer, Token, skip};
use crate::diag::Code;

impl<'t> Lexer<'t> {
    /// `..` of an import, or a range, which is refused whole.
    pub(super) fn dots(&mut self, after: &'t str, leads: bool) {
        let Some(end) = self.range_end(after) else { return self.push(Kind::Dots, after, leads) };
        let leads = self.take_back_number().unwrap_or(leads);
        let help = "write one number; what goes from one value to another has a field for each end";
        let fault = Fault::new(Code::SyntaxUnsupported, 0..self.rest.offset(end), "a recipe has no ranges", "a range", help);
        self.report(fault);
        self.push(Kind::Bad, end, leads);
    }

    /// Where the range ends whose `..` ends at `after`; `None` where it is no range.
    fn range_end(&self, after: &'t str) -> Option<&'t str> {
        let to = after.strip_prefix('=').unwrap_or(after);
        if let Ok((end, _)) = number(skip(to).trim_start_matches(['+', '-'])) {
            return Some(end.trim_start_matches(|c| continues_name(c) || c == '%'));
        }
        let begun = match self.out.tokens.last() {
            Some(last) if last.kind == Kind::Punct(':') => true,
            Some(last) => self.number_before() > 0 && last.span.end as usize == self.text.offset(self.rest),
            None => false,
        };
        let import = skip(after).starts_with("import");
        (to.len() < after.len() || begun && !import).then_some(to)
    }

    /// How many tokens make up the number, with its unit, that ends before this place on the same line.
    fn number_before(&self) -> usize {
        let here = self.text.offset(self.rest);
        let is_number = |t: &Token| matches!(t.kind, Kind::Number(_));
        let is_unit = |t: &Token| matches!(t.kind, Kind::Ident(_) | Kind::Punct('%'));
        let on_this_line = |t: &Token| self.text.get(t.span.end as usize..here).is_some_and(|gap| !gap.contains('\n'));
        match self.out.tokens.as_slice() {
            [.., last] if is_number(last) && on_this_line(last) => 1,
            [.., last, unit] if is_number(last) && is_unit(unit) && last.span.end == unit.span.start && on_this_line(unit) => 2,
            _ => 0,
        }
    }

    /// Goes back to where the number before this place begins; gives whether that leads its line.
    fn take_back_number(&mut self) -> Option<bool> {
        let first = self.out.tokens.len() - self.number_before();
        let number = self.out.tokens.drain(first..).next()?;
        self.rest = &self.text[number.span.start as usize..];
        Some(number.leads)
    }
}
