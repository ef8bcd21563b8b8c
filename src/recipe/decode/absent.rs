//! `Some`, `None` and the words of other languages for nothing.
//!
//! Invariant: a `Some` around a value is taken off once, so that what is in it is still read.

use super::Decoder;
use crate::diag::{Code, Diagnostic, Edit};
use crate::recipe::schema::{FieldInfo, TypeInfo};
use crate::recipe::value::{Value, ValueKind};
use crate::source::Span;

/// What other languages call nothing.
fn is_nothing(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "null" | "nil" | "none" | "nullptr" | "undefined" | "nothing" | "void")
}

/// Reports a word for nothing where the field can be left out; tells whether it did.
pub(super) fn refuses_nothing(cx: &mut Decoder, value: &Value, info: &FieldInfo, optional: bool) -> bool {
    let ValueKind::Name(name) = &value.kind else { return false };
    let ours = optional && name.text == "None";
    // A variant of that name, a `let` of nearly that name: both are likelier.
    let record = (info.ty)().records().iter().any(|record| record.name == name.text);
    let known = record || cx.lets.contains(&name.text) || matches!((info.ty)(), TypeInfo::Text);
    if ours || known || !is_nothing(&name.text) || !optional && info.default.is_none() {
        return false;
    }
    let wanted = (info.ty)();
    let found =
        Diagnostic::error(Code::WrongType, value.span, format!("`{}` wants {wanted}, found the name `{}`", info.name, name.text));
    let found = found.here(format!("expected {wanted}"));
    let here = name.span == value.span;
    cx.report(match info.default {
        Some(default) if !optional => {
            let found = found.help(format!("leave it out: its default is `{default}`"));
            if here { found.fix(format!("write `{default}`"), false, value.span, default) } else { found }
        }
        _ => {
            let found = found.help("leave it out, or write `None`");
            if here { found.fix("write `None`", true, value.span, "None") } else { found }
        }
    });
    true
}

/// The value in a `Some(..)`, reported where the field is always there.
pub(super) fn without_some<'v>(cx: &mut Decoder, value: &'v Value, info: &FieldInfo, optional: bool) -> &'v Value {
    let ValueKind::Tuple { name: Some(name), items } = &value.kind else { return value };
    let [inner] = items.as_slice() else { return value };
    if optional || name.text != "Some" {
        return value;
    }
    let message = format!("`{}` is always there, and takes no `Some(..)`", info.name);
    let found = Diagnostic::error(Code::WrongType, value.span, message).here("expected the value alone").help("leave `Some` out");
    let (outer, inside) = (value.span, inner.span);
    let here = outer.source == inside.source && outer.start < inside.start && inside.end < outer.end;
    let cut = |start: u32, end: u32| Edit { span: Span { start, end, ..outer }, text: String::new() };
    let edits = vec![cut(outer.start, inside.start), cut(inside.end, outer.end)];
    cx.report(if here { found.edits("leave `Some` out", true, edits) } else { found });
    inner
}
