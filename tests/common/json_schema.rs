//! A validator for the part of JSON Schema that `cramplan explain --json-schema` uses; any other keyword is a failure of the test.

#![allow(missing_docs, reason = "the names say it")]

use serde_json::{Map, Value};

/// What is wrong with a value, with its path; nothing where it is valid.
pub fn faults(value: &Value, document: &Value) -> Vec<String> {
    Validator { document }.check(value, document, "")
}

struct Validator<'s> {
    document: &'s Value,
}

impl Validator<'_> {
    fn check(&self, value: &Value, schema: &Value, path: &str) -> Vec<String> {
        let schema = schema.as_object().unwrap();
        let mut found = Vec::new();
        for (keyword, wanted) in schema {
            found.extend(match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" => Vec::new(),
                "$ref" => self.check(value, self.document.pointer(&wanted.as_str().unwrap()[1..]).unwrap(), path),
                "oneOf" => self.alternatives(value, wanted, path, |n| n == 1),
                "anyOf" => self.alternatives(value, wanted, path, |n| n >= 1),
                "const" => fault(value == wanted, path, format_args!("is not {wanted}")),
                "type" => fault(is_type(value, wanted.as_str().unwrap()), path, format_args!("is no {wanted}")),
                "minimum" => bound(value, wanted, path, |x, b| x >= b),
                "exclusiveMinimum" => bound(value, wanted, path, |x, b| x > b),
                "maximum" => bound(value, wanted, path, |x, b| x <= b),
                "exclusiveMaximum" => bound(value, wanted, path, |x, b| x < b),
                "minItems" => fault(length(value) >= wanted.as_u64().unwrap(), path, format_args!("is too short")),
                "maxItems" => fault(length(value) <= wanted.as_u64().unwrap(), path, format_args!("is too long")),
                "items" => {
                    let items = value.as_array().into_iter().flatten().enumerate();
                    items.flat_map(|(i, item)| self.check(item, wanted, &format!("{path}/{i}"))).collect()
                }
                "required" => {
                    let lacks = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                    wanted.as_array().unwrap().iter().filter(lacks).map(|name| format!("{path} lacks {name}")).collect()
                }
                "properties" => self.properties(value, wanted.as_object().unwrap(), path),
                "additionalProperties" => unknown(value, schema, path),
                other => panic!("the validator does not know `{other}`"),
            });
        }
        found
    }

    fn properties(&self, value: &Value, wanted: &Map<String, Value>, path: &str) -> Vec<String> {
        let given = value.as_object().into_iter().flatten().filter_map(|(name, v)| wanted.get(name).map(|s| (name, v, s)));
        given.flat_map(|(name, value, schema)| self.check(value, schema, &format!("{path}/{name}"))).collect()
    }

    fn alternatives(&self, value: &Value, schemas: &Value, path: &str, enough: fn(usize) -> bool) -> Vec<String> {
        let tried: Vec<Vec<String>> = schemas.as_array().unwrap().iter().map(|s| self.check(value, s, path)).collect();
        let holding = tried.iter().filter(|faults| faults.is_empty()).count();
        if enough(holding) { Vec::new() } else { vec![format!("{path} fits {holding} alternatives: {tried:?}")] }
    }
}

fn fault(holds: bool, path: &str, why: std::fmt::Arguments<'_>) -> Vec<String> {
    if holds { Vec::new() } else { vec![format!("{path} {why}")] }
}

fn is_type(value: &Value, ty: &str) -> bool {
    match ty {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|x| x.fract() == 0.0),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

fn bound(value: &Value, bound: &Value, path: &str, holds: fn(f64, f64) -> bool) -> Vec<String> {
    let bound = bound.as_f64().unwrap();
    fault(value.as_f64().is_none_or(|x| holds(x, bound)), path, format_args!("is beyond {bound}"))
}

fn length(value: &Value) -> u64 {
    value.as_array().map_or(0, Vec::len) as u64
}

fn unknown(value: &Value, schema: &Map<String, Value>, path: &str) -> Vec<String> {
    assert_eq!(schema["additionalProperties"], false);
    let names = value.as_object().into_iter().flatten().map(|(name, _)| name);
    names.filter(|name| schema["properties"].get(name).is_none()).map(|name| format!("{path} has no {name}")).collect()
}
