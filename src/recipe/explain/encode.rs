//! From an evaluated value to the JSON that the settings' serde types write for it, read by the schema alone.
//!
//! Invariant: for every valid recipe this is what `serde_json` makes of the decoded one; a value that does not fit gives `None`.

use serde_json::{Map, Value as Json, json};

use crate::recipe::eval::evaluate_alone;
use crate::recipe::schema::{ChoiceInfo, FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::value::{Dimension, FieldValue, Numeric, Quantity, Value, ValueKind};
use crate::source::SourceId;
use crate::syntax;

/// The default of a field; null where it may be left out, and `None` where it is required.
pub(super) fn default(field: &FieldInfo) -> Option<Json> {
    let Some(text) = field.default else { return field.optional.then_some(Json::Null) };
    let (document, _) = syntax::parse(SourceId(u32::MAX), text);
    let (value, errors) = evaluate_alone(&document?);
    if errors.is_empty() { encode(&value, &(field.ty)()) } else { None }
}

/// A value as the wanted type is written.
pub(super) fn encode(value: &Value, ty: &TypeInfo) -> Option<Json> {
    match (ty, &value.kind) {
        (TypeInfo::Count | TypeInfo::Size | TypeInfo::Work, ValueKind::Number(q)) => whole(q).map(Json::from),
        (TypeInfo::Real | TypeInfo::Share | TypeInfo::Duration, ValueKind::Number(q)) => Some(json!(q.number.as_f64())),
        (TypeInfo::Text, ValueKind::Text(text)) => Some(json!(text)),
        (TypeInfo::Flag, ValueKind::Bool(flag)) => Some(json!(flag)),
        (TypeInfo::Interval, ValueKind::Number(q)) => interval(q),
        (TypeInfo::Portion, ValueKind::Number(q)) => portion(q),
        (TypeInfo::AutoCount, ValueKind::Name(name)) => (name.text == "Auto").then(|| json!("Auto")),
        (TypeInfo::AutoCount, ValueKind::Number(q)) => whole(q).map(|n| json!({"Fixed": n})),
        (TypeInfo::Pair, ValueKind::Tuple { items, .. } | ValueKind::List(items)) => all(items, &TypeInfo::Real),
        (TypeInfo::List(item), ValueKind::List(items)) => all(items, &item()),
        (TypeInfo::Record(record), _) => fields(value, record),
        (TypeInfo::Choice(choice), _) => variant(value, choice),
        _ => None,
    }
}

fn all(items: &[Value], ty: &TypeInfo) -> Option<Json> {
    items.iter().map(|item| encode(item, ty)).collect::<Option<Vec<Json>>>().map(Json::from)
}

fn whole(q: &Quantity) -> Option<u64> {
    match q.number {
        Numeric::Integer(n) => u64::try_from(n).ok(),
        Numeric::Float(x) => (0.0..1.8e19).contains(&x).then_some(x as u64),
    }
}

fn interval(q: &Quantity) -> Option<Json> {
    match q.dimension {
        Dimension::Percent => Some(json!({"Share": q.number.as_f64()})),
        Dimension::Time => Some(json!({"Time": q.number.as_f64()})),
        _ => whole(q).map(|n| json!({"Steps": n})),
    }
}

fn portion(q: &Quantity) -> Option<Json> {
    let is_share = q.dimension == Dimension::Plain && q.number.as_f64() <= 1.0;
    if is_share { Some(json!({"Share": q.number.as_f64()})) } else { interval(q) }
}

fn variant(value: &Value, choice: &ChoiceInfo) -> Option<Json> {
    let (ValueKind::Name(name) | ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. }) =
        &value.kind
    else {
        return None;
    };
    let record = choice.variants.iter().find(|variant| variant.name == name.text)?;
    Some(json!({record.name: fields(value, record)?}))
}

/// What a struct gives, and the defaults of what it does not.
fn fields(value: &Value, record: &RecordInfo) -> Option<Json> {
    let mut object = Map::new();
    for info in record.fields {
        let json = match given(value, record, info) {
            Some(value) => field(value, info),
            None => default(info),
        };
        object.insert(info.name.to_owned(), json?);
    }
    Some(Json::Object(object))
}

fn field(value: &Value, info: &FieldInfo) -> Option<Json> {
    match &value.kind {
        ValueKind::Name(name) if info.optional && name.text == "None" => Some(Json::Null),
        ValueKind::Tuple { name: Some(name), items } if info.optional && name.text == "Some" => {
            items.first().and_then(|inner| encode(inner, &(info.ty)()))
        }
        _ => encode(value, &(info.ty)()),
    }
}

/// The value that a struct gives for a field; a single one without a name is that of the first field.
fn given<'v>(value: &'v Value, record: &RecordInfo, info: &FieldInfo) -> Option<&'v Value> {
    match &value.kind {
        ValueKind::Struct { fields, .. } => {
            fields.iter().find(|FieldValue { name, .. }| name.text == info.name).map(|f| &f.value)
        }
        ValueKind::Tuple { items, .. } if record.fields.first().is_some_and(|first| first.name == info.name) => items.first(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::decode::Decode as _;
    use crate::recipe::settings::Recipe;
    use crate::recipe::testing;

    fn same(text: &str) {
        let (document, errors) = syntax::parse(SourceId(0), text);
        assert!(errors.is_empty(), "{errors:?}");
        let (value, errors) = evaluate_alone(&document.unwrap());
        assert!(errors.is_empty(), "{errors:?}");
        let decoded = serde_json::to_value(testing::parse(text)).unwrap();
        assert_eq!(encode(&value, &Recipe::info()), Some(decoded));
    }

    #[test]
    fn every_value_is_written_as_serde_writes_the_decoded_recipe() {
        same(testing::TEXT);
        same(include_str!("../../../recipes/quickstart.ron"));
        same(include_str!("../../../recipes/crammed-bert.ron"));
        same(
            r#"(
                name: "all", seed: 7,
                budget: (time: Some(24h), tokens: None, flops: 3EFLOP, memory: 1.5GiB, device: 'x'),
                data: (sources: [Text("a"), Synthetic(sentences: 1e3)], tokenizer: WordPiece(1Ki), normalize: [Ascii], validation: 0.1),
                model: (width: 2 * 16, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(64), norm: LayerNorm, init: Normal(5%)),
                objective: (rate: 15%, prediction: Sparse(share: 20%), protect_special: false),
                batch: Ramp(to: 64, until: 60%), micro_batch: 8,
                optimizer: AdamW(betas: [0.9, 0.999], decay: Everything),
                lr: Constant(1e-3),
                evaluation: (every: 100), checkpoint: (every: 2h, keep: 3),
            )"#,
        );
    }

    #[test]
    fn every_default_of_the_schema_has_its_json() {
        for entry in crate::recipe::explain::entries() {
            let crate::recipe::explain::Item::Field(info, _) = entry.item else { continue };
            assert_eq!(default(info).is_some(), info.default.is_some() || info.optional, "{}", entry.path());
        }
    }
}
