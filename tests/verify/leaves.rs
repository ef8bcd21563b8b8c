//! The single values of a certificate, by path, and how one of them is changed.

use std::collections::BTreeMap;

use cramplan::verify::format::Content;
use serde_json::{Value, json};

/// A value without fields.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its path for people, without numbers.
    pub name: String,
    pointer: String,
}

/// Three values of each path: the first, one in the middle and the last.
pub fn samples(content: &Content) -> Vec<Leaf> {
    let mut all: BTreeMap<String, Vec<Leaf>> = BTreeMap::new();
    collect(&serde_json::to_value(content).unwrap(), "", "", &mut |leaf: Leaf| {
        all.entry(leaf.name.clone()).or_default().push(leaf);
    });
    let few = |leaves: Vec<Leaf>| {
        let last = leaves.len() - 1;
        let mut at = vec![0, last / 2, last];
        at.dedup();
        at.into_iter().map(|i| leaves[i].clone()).collect::<Vec<Leaf>>()
    };
    all.into_values().flat_map(few).collect()
}

fn collect(value: &Value, name: &str, pointer: &str, found: &mut dyn FnMut(Leaf)) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                // A choice is no field: its fields stand beside it.
                let name = if field.starts_with(char::is_uppercase) { name.to_owned() } else { format!("{name}{dot}{field}") };
                collect(value, &name, &format!("{pointer}/{field}"), found);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| collect(item, name, &format!("{pointer}/{i}"), found));
        }
        _ => found(Leaf { name: name.to_owned(), pointer: pointer.to_owned() }),
    }
}

/// The content with one value changed; none where what comes out cannot be read as a content.
pub fn change(content: &Content, leaf: &Leaf) -> Option<Content> {
    let mut all = serde_json::to_value(content).unwrap();
    let value = all.pointer_mut(&leaf.pointer)?;
    let candidates = match value {
        Value::Number(n) if n.is_u64() => vec![json!(n.as_u64()? + 1)],
        Value::Number(n) => vec![json!(n.as_f64()? * 0.9)],
        Value::Bool(b) => vec![json!(!*b)],
        Value::String(s) => vec![json!(other_variant(s)), json!(format!("{s}x"))],
        _ => vec![json!(1), json!(0.5), json!("x")],
    };
    let before = value.clone();
    for candidate in candidates.into_iter().filter(|c| *c != before) {
        *all.pointer_mut(&leaf.pointer)? = candidate;
        if let Ok(changed) = serde_json::from_value(all.clone()) {
            return Some(changed);
        }
    }
    None
}

/// Another word of the same kind.
fn other_variant(word: &str) -> &str {
    match word {
        "Forward" => "Backward",
        "Backward" | "Update" => "Forward",
        "F32" => "I32",
        "I32" => "F32",
        "First" => "Further",
        "Further" | "Evaluate" => "First",
        "Head" => "Embedding",
        "Embedding" | "GlobalNorm" => "Head",
        "Steps" => "Time",
        "Time" | "Tokens" | "Flops" => "Steps",
        "Activation" => "Tokens",
        other => other,
    }
}
