//! Explanations for programs.
//!
//! Invariant: every entry is one flat object; what it holds is named by path.

use serde_json::{Value, json};

use super::words::{doc, is_required, range};
use super::{Entry, Item, Topic, entries, whole};
use crate::diag::Code;

/// What there is to say about a topic.
pub fn topic(topic: &Topic) -> Value {
    match topic {
        Topic::Whole(record) => {
            json!({"kind": "recipe", "path": "", "name": record.name, "doc": doc(record.doc), "holds": below("")})
        }
        Topic::Entry(entry) => self::entry(entry),
        Topic::Code(code) => json!({"kind": "code", "code": code.as_str(), "summary": code.summary(), "page": code.page()}),
    }
}

/// Everything that can be explained.
pub fn list() -> Value {
    let codes: Vec<Value> =
        Code::ALL.iter().map(|code| json!({"kind": "code", "code": code.as_str(), "summary": code.summary()})).collect();
    let fields: Vec<Value> = entries().iter().map(entry).collect();
    json!({"recipe": whole().map(|record| topic(&Topic::Whole(record))), "fields": fields, "codes": codes})
}

fn entry(entry: &Entry) -> Value {
    let path = entry.path();
    match entry.item {
        Item::Field(info, home) => json!({
            "kind": "field",
            "path": path,
            "set": entry.reached(),
            "name": info.name,
            "in": home.name,
            "doc": doc(info.doc),
            "type": (info.ty)().to_string(),
            "range": range(info),
            "default": info.default,
            "required": is_required(info),
            "holds": below(&path),
        }),
        Item::Variant(info, choice) => json!({
            "kind": "variant",
            "path": path,
            "for": entry.setting(),
            "name": info.name,
            "in": choice.name,
            "doc": doc(info.doc),
            "holds": below(&path),
        }),
    }
}

/// The paths of what stands directly below a path.
fn below(path: &str) -> Vec<String> {
    let is_below = |other: &String| match other.rsplit_once('.') {
        Some((parent, _)) => parent == path,
        None => path.is_empty(),
    };
    entries().iter().map(Entry::path).filter(is_below).collect()
}
