//! What has changed since a plan was made, field by field.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A field whose value is no longer the planned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Its dotted path.
    pub field: String,
    /// What was planned.
    pub planned: String,
    /// What is there now.
    pub now: String,
}

impl Drift {
    /// A drift.
    pub fn new(field: impl Into<String>, planned: impl Into<String>, now: impl Into<String>) -> Self {
        Self { field: field.into(), planned: planned.into(), now: now.into() }
    }
}

/// The fields in which two values of a type differ, in the order of their paths.
pub fn between<T: Serialize>(planned: &T, now: &T) -> Vec<Drift> {
    let (planned, now) = (leaves(planned), leaves(now));
    let paths = planned.keys().chain(now.keys().filter(|path| !planned.contains_key(*path)));
    let text = |side: &BTreeMap<String, String>, path: &str| side.get(path).cloned().unwrap_or_else(|| "nothing".to_owned());
    let mut found: Vec<Drift> = paths
        .filter(|path| planned.get(*path) != now.get(*path))
        .map(|path| Drift::new(path.clone(), text(&planned, path), text(&now, path)))
        .collect();
    found.sort_by(|a, b| a.field.cmp(&b.field));
    found
}

/// The values without fields of their own, by path. A choice stands at its own path and its fields beside it, as `--set` names them:
/// `batch` is `Ramp` and `batch.to` 8192.
fn leaves(value: &impl Serialize) -> BTreeMap<String, String> {
    // By way of a text, since `serde_json::Value` takes no number past 64 bits from a type.
    let value = serde_json::to_string(value).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
    let mut leaves = BTreeMap::new();
    collect(&value, "", &mut leaves);
    leaves
}

fn collect(value: &Value, path: &str, leaves: &mut BTreeMap<String, String>) {
    let mut leaf = |text: String| {
        leaves.insert(path.to_owned(), text);
    };
    match value {
        Value::Object(fields) => {
            let variant = fields.keys().next().filter(|name| fields.len() == 1 && name.starts_with(char::is_uppercase)).cloned();
            if let Some(name) = variant {
                leaf(name.clone());
                return collect_inside(&fields[&name], path, leaves);
            }
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(field, &path, leaves);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{i}]"), leaves);
            }
        }
        Value::Null => leaf("none".to_owned()),
        Value::String(text) => leaf(text.clone()),
        Value::Bool(_) | Value::Number(_) => leaf(value.to_string()),
    }
}

/// What a choice holds: fields of its own, or a single value, which then says both.
fn collect_inside(value: &Value, path: &str, leaves: &mut BTreeMap<String, String>) {
    if value.is_object() || value.is_array() {
        return collect(value, path, leaves);
    }
    let mut inner = BTreeMap::new();
    collect(value, path, &mut inner);
    for (path, text) in inner {
        let name = leaves.get(&path).cloned().unwrap_or_default();
        leaves.insert(path, format!("{name}({text})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::decode::Portion;
    use crate::recipe::settings::Batch;
    use crate::recipe::testing::recipe;
    use crate::units::Ratio;

    #[test]
    fn a_recipe_differs_at_the_paths_that_set_would_name() {
        let mut other = recipe();
        other.model.depth += 1;
        other.batch = Batch::Ramp { to: 64, until: Portion::Share(Ratio(0.5)) };
        let found = between(&recipe(), &other);
        let depth = found.iter().find(|d| d.field == "model.depth").unwrap();
        assert_eq!(
            (depth.planned.parse::<u64>().unwrap(), depth.now.parse::<u64>().unwrap()),
            (recipe().model.depth, recipe().model.depth + 1)
        );
        assert!(found.iter().any(|d| d.field == "batch.to" && d.now == "64"), "{found:?}");
        assert_eq!(between(&recipe(), &recipe()), []);
    }
}
