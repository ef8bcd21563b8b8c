//! The schema as a JSON Schema (draft 2020-12), for recipes without our additions as the settings' serde types write them:
//! durations in seconds, sizes in bytes, shares of 1, a variant as an object with its name as the only key.
//!
//! Invariant: one definition for each struct and choice, named as in the schema; every number has the bounds of its field.

use serde_json::{Map, Value, json};

use super::words::{doc, is_required};
use super::{Type, encode, types};
use crate::recipe::decode::Portion;
use crate::recipe::schema::{ChoiceInfo, FieldInfo, Range, RecordInfo, TypeInfo};

/// The whole schema, with sorted keys so that it is the same in every build.
pub fn document() -> Value {
    let definitions: Map<String, Value> = types()
        .into_iter()
        .map(|ty| match ty {
            Type::Record(info) => (info.name.to_owned(), record(info)),
            Type::Choice(info) => (info.name.to_owned(), choice(info)),
        })
        .collect();
    sorted(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cramplan recipe",
        "description": "A recipe without units, arithmetic, `let` and imports, as JSON: durations are seconds, sizes bytes, shares of 1, \
            work FLOP; a choice is an object whose only key is the variant's name.",
        "$ref": reference(super::WHOLE[1]),
        "$defs": definitions,
    }))
}

fn reference(name: &str) -> String {
    format!("#/$defs/{name}")
}

fn record(info: &RecordInfo) -> Value {
    let properties: Map<String, Value> = info.fields.iter().map(|f| (f.name.to_owned(), field(f))).collect();
    let required: Vec<&str> = info.fields.iter().filter(|f| is_required(f)).map(|f| f.name).collect();
    json!({
        "type": "object",
        "description": doc(info.doc),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn choice(info: &ChoiceInfo) -> Value {
    let variants: Vec<Value> = info.variants.iter().map(|variant| tagged(variant.name, &record(variant))).collect();
    json!({"description": doc(info.doc), "oneOf": variants})
}

/// An object with one key, as serde writes a variant.
fn tagged(name: &str, content: &Value) -> Value {
    json!({"type": "object", "properties": {name: content}, "required": [name], "additionalProperties": false})
}

fn field(info: &FieldInfo) -> Value {
    let ty = (info.ty)();
    let content = value(&ty, info.range.as_ref());
    let mut object = match content {
        Value::Object(content) if !info.optional => content,
        content => Map::from_iter([("anyOf".to_owned(), json!([content, {"type": "null"}]))]),
    };
    object.insert("description".to_owned(), json!(format!("{}{}", doc(info.doc), unit(&ty))));
    if let Some(default) = encode::default(info) {
        object.insert("default".to_owned(), default);
    }
    Value::Object(object)
}

/// The base unit of a number, as a sentence.
fn unit(ty: &TypeInfo) -> &'static str {
    match ty {
        TypeInfo::Share => " A share of 1.",
        TypeInfo::Duration => " In seconds.",
        TypeInfo::Size => " In bytes.",
        TypeInfo::Work => " In FLOP.",
        _ => "",
    }
}

fn value(ty: &TypeInfo, range: Option<&Range>) -> Value {
    match ty {
        TypeInfo::Count | TypeInfo::Size | TypeInfo::Work => {
            bounded("integer", range.or(Some(&Range::closed(0.0, f64::INFINITY))))
        }
        TypeInfo::Real | TypeInfo::Share | TypeInfo::Duration => bounded("number", range),
        TypeInfo::Text => json!({"type": "string"}),
        TypeInfo::Flag => json!({"type": "boolean"}),
        TypeInfo::Pair => json!({"type": "array", "items": bounded("number", range), "minItems": 2, "maxItems": 2}),
        TypeInfo::Interval => json!({"oneOf": [
            tagged("Share", &bounded("number", Some(&Range::above(0.0, 1.0)))),
            tagged("Time", &bounded("number", Some(&Range::above(0.0, f64::INFINITY)))),
            tagged("Steps", &bounded("integer", Some(&Range::closed(1.0, 1e15)))),
        ]}),
        TypeInfo::Portion => json!({"oneOf": [
            tagged("Share", &bounded("number", range)),
            tagged("Steps", &bounded("integer", Some(&Portion::range_of("Steps")))),
            tagged("Tokens", &bounded("integer", Some(&Portion::range_of("Tokens")))),
            tagged("Time", &bounded("number", Some(&Portion::range_of("Time")))),
        ]}),
        TypeInfo::AutoCount => json!({"oneOf": [{"const": "Auto"}, tagged("Fixed", &bounded("integer", range))]}),
        TypeInfo::List(item) => json!({"type": "array", "items": value(&item(), range)}),
        TypeInfo::Record(info) => json!({"$ref": reference(info.name)}),
        TypeInfo::Choice(info) => json!({"$ref": reference(info.name)}),
    }
}

/// A number within a range.
fn bounded(ty: &str, range: Option<&Range>) -> Value {
    let mut object = Map::from_iter([("type".to_owned(), json!(ty))]);
    let bounds = range.map(Range::bounds).into_iter().flatten();
    for ((bound, included), [inclusive, exclusive]) in
        bounds.zip([["minimum", "exclusiveMinimum"], ["maximum", "exclusiveMaximum"]])
    {
        if bound.is_finite() {
            object.insert((if included { inclusive } else { exclusive }).to_owned(), number(bound));
        }
    }
    Value::Object(object)
}

/// A whole number without a fraction, as far as 64 bits hold it.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && (0.0..1.8e19).contains(&x) { json!(x as u64) } else { json!(x) }
}

/// The same with the keys of every object in order, whatever `serde_json` was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut fields: Vec<(String, Value)> = object.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
