//! What can be explained: every field and choice of the schema by its path, its name or its type, and every code.
//!
//! Invariant: all of it is read from the schema's declarations and the codes' pages; nothing is said here that is not said there.

mod encode;
pub mod json;
pub mod json_schema;
pub mod reference;
pub mod text;
mod words;

use super::decode::Decode as _;
use super::schema::{ChoiceInfo, FieldInfo, RecordInfo, TypeInfo};
use super::settings::Recipe;
use super::suggest::nearest;
use crate::diag::Code;

/// How deep the schema is walked; it is a tree, and far from this deep.
const DEEPEST: usize = 16;

/// The name under which the whole recipe is explained.
const WHOLE: [&str; 2] = ["recipe", "Recipe"];

/// A name on the way from the top of a recipe to a field or a choice.
#[derive(Clone, Copy, Debug)]
struct Step {
    name: &'static str,
    /// The name of the struct or choice that a field holds, itself or in a list.
    holds: Option<&'static str>,
    is_list: bool,
    is_variant: bool,
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    /// A field, with the struct or variant that has it.
    Field(&'static FieldInfo, &'static RecordInfo),
    /// A variant, with the choice that it belongs to.
    Variant(&'static RecordInfo, &'static ChoiceInfo),
}

/// A field or a variant of the schema, and where it stands.
#[derive(Clone, Debug)]
pub struct Entry {
    steps: Vec<Step>,
    /// What stands there.
    pub item: Item,
}

impl Entry {
    /// Its path with the variants on the way: `lr.Triangle.peak`.
    pub fn path(&self) -> String {
        joined(self.steps.iter())
    }

    /// The path by which messages call it: `lr.peak`; for a variant, that of the field which it is a choice for.
    pub fn setting(&self) -> String {
        joined(self.steps.iter().filter(|step| !step.is_variant))
    }

    /// The path by which `--set` reaches it; a list is set as a whole, so nothing in it has one.
    pub fn reached(&self) -> Option<String> {
        let above = self.steps.split_last().map(|(_, above)| above).unwrap_or_default();
        (!above.iter().any(|step| step.is_list)).then(|| self.setting())
    }

    /// Whether it stands in a variant.
    pub fn is_in_variant(&self) -> bool {
        self.steps.split_last().is_some_and(|(_, above)| above.iter().any(|step| step.is_variant))
    }

    /// Its own name.
    pub fn name(&self) -> &'static str {
        match self.item {
            Item::Field(field, _) => field.name,
            Item::Variant(variant, _) => variant.name,
        }
    }

    /// How deep it stands; 0 at the top of the recipe.
    pub fn depth(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// Whether it is what a topic says in full.
    fn is(&self, topic: &str) -> bool {
        self.path() == topic || matches!(self.item, Item::Field(..)) && self.setting() == topic
    }

    /// Whether a topic ends with its name, or the name of what it holds, and names only what stands above it before that.
    fn ends(&self, topic: &[&str]) -> bool {
        let (Some((own, above)), Some((wanted, before))) = (self.steps.split_last(), topic.split_last()) else { return false };
        let mut words: Vec<&str> = above.iter().flat_map(|step| [Some(step.name), step.holds]).flatten().collect();
        if own.name != *wanted {
            if own.holds != Some(*wanted) {
                return false;
            }
            words.push(own.name);
        }
        let mut words = words.into_iter();
        before.iter().all(|step| words.any(|word| word == *step))
    }
}

fn joined<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    steps.map(|step| step.name).collect::<Vec<_>>().join(".")
}

/// The structs that a field can hold, itself or in a list.
#[derive(Clone, Copy, Debug)]
enum Holds {
    Nothing,
    Record(&'static RecordInfo),
    Choice(&'static ChoiceInfo),
}

impl Holds {
    fn of(ty: &TypeInfo) -> Self {
        match *ty {
            TypeInfo::Record(record) => Self::Record(record),
            TypeInfo::Choice(choice) => Self::Choice(choice),
            TypeInfo::List(item) => Self::of(&item()),
            _ => Self::Nothing,
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Record(record) => Some(record.name),
            Self::Choice(choice) => Some(choice.name),
        }
    }
}

/// The declaration of the recipe itself.
pub fn whole() -> Option<&'static RecordInfo> {
    match Recipe::info() {
        TypeInfo::Record(record) => Some(record),
        _ => None,
    }
}

/// Every field and variant, each after the one that holds it, in the order of declaration.
pub fn entries() -> Vec<Entry> {
    let mut found = Vec::new();
    if let Some(record) = whole() {
        walk(record, &mut Vec::new(), &mut found);
    }
    found
}

fn walk(record: &'static RecordInfo, above: &mut Vec<Step>, found: &mut Vec<Entry>) {
    if above.len() >= DEEPEST {
        return;
    }
    for field in record.fields {
        let ty = (field.ty)();
        let (holds, is_list) = (Holds::of(&ty), matches!(ty, TypeInfo::List(_)));
        above.push(Step { name: field.name, holds: holds.name(), is_list, is_variant: false });
        found.push(Entry { steps: above.clone(), item: Item::Field(field, record) });
        match holds {
            Holds::Nothing => (),
            Holds::Record(inner) => walk(inner, above, found),
            Holds::Choice(choice) => {
                for variant in choice.variants {
                    above.push(Step { name: variant.name, holds: None, is_list: false, is_variant: true });
                    found.push(Entry { steps: above.clone(), item: Item::Variant(variant, choice) });
                    walk(variant, above, found);
                    above.pop();
                }
            }
        }
        above.pop();
    }
}

/// A struct or a choice of the schema with the fields that hold it.
#[derive(Clone, Debug)]
enum Type {
    Record(&'static RecordInfo),
    Choice(&'static ChoiceInfo),
}

/// The recipe, then every struct and choice where it is first held.
fn types() -> Vec<Type> {
    let mut found: Vec<Type> = whole().map(Type::Record).into_iter().collect();
    let mut names: Vec<&str> = found.iter().map(|_| WHOLE[1]).collect();
    for entry in entries() {
        let Item::Field(field, _) = entry.item else { continue };
        let holds = Holds::of(&(field.ty)());
        let Some(name) = holds.name().filter(|name| !names.contains(name)) else { continue };
        names.push(name);
        found.extend(match holds {
            Holds::Nothing => None,
            Holds::Record(record) => Some(Type::Record(record)),
            Holds::Choice(choice) => Some(Type::Choice(choice)),
        });
    }
    found
}

/// Something that was asked about.
#[derive(Clone, Debug)]
pub enum Topic {
    /// The recipe as a whole.
    Whole(&'static RecordInfo),
    /// A field or a variant.
    Entry(Entry),
    /// A code.
    Code(Code),
}

/// What a topic is: a path in full or in part, the name of a field, variant or struct, or a code; all of them where it is several.
///
/// # Errors
/// The nearest topic that there is, if any is near, where there is none of this name.
pub fn find(topic: &str) -> Result<Vec<Topic>, Option<String>> {
    let topic = topic.trim();
    if let Some(code) = Code::find(topic) {
        return Ok(vec![Topic::Code(code)]);
    }
    let steps: Vec<&str> = topic.split('.').map(str::trim).collect();
    let steps = match steps.as_slice() {
        [first, rest @ ..] if WHOLE.contains(first) => rest,
        all => all,
    };
    if steps.is_empty() {
        return Ok(whole().map(Topic::Whole).into_iter().collect());
    }
    let (all, path) = (entries(), steps.join("."));
    let exact: Vec<Topic> = all.iter().filter(|entry| entry.is(&path)).cloned().map(Topic::Entry).collect();
    if !exact.is_empty() {
        return Ok(exact);
    }
    let partial: Vec<Topic> = all.iter().filter(|entry| entry.ends(steps)).cloned().map(Topic::Entry).collect();
    if partial.is_empty() { Err(near(topic, &all)) } else { Ok(partial) }
}

/// The topic nearest to a name that is none.
fn near(topic: &str, entries: &[Entry]) -> Option<String> {
    let names = entries.iter().map(|entry| entry.name().to_owned());
    let holds = entries.iter().filter_map(|entry| entry.steps.last()?.holds.map(str::to_owned));
    let paths = entries.iter().flat_map(|entry| [entry.setting(), entry.path()]);
    let codes = Code::ALL.iter().map(ToString::to_string);
    let all: Vec<String> = names.chain(holds).chain(paths).chain(codes).chain(WHOLE.map(str::to_owned)).collect();
    nearest(topic, all.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(topic: &str) -> Vec<String> {
        let path = |topic| match topic {
            Topic::Whole(record) => record.name.to_owned(),
            Topic::Entry(entry) => entry.path(),
            Topic::Code(code) => code.to_string(),
        };
        find(topic).unwrap_or_default().into_iter().map(path).collect()
    }

    #[test]
    fn every_entry_is_found_by_its_paths_and_its_name() {
        let all = entries();
        let is_at_the_top = |name| all.iter().any(|entry| entry.depth() == 0 && entry.name() == name);
        for entry in &all {
            assert_eq!(paths(&entry.path()), [entry.path()]);
            assert!(paths(entry.name()).contains(&entry.path()) || is_at_the_top(entry.name()), "{}", entry.path());
            let is_variant = matches!(entry.item, Item::Variant(..));
            assert!(paths(&entry.setting()).contains(&entry.path()) || is_variant, "{}", entry.path());
        }
    }

    #[test]
    fn a_bare_name_is_found_wherever_it_is_at_home() {
        assert_eq!(paths("width"), ["model.width"]);
        assert_eq!(paths("every"), ["evaluation.every", "checkpoint.every"]);
        assert_eq!(paths("Constant"), ["batch.Constant", "lr.Constant"]);
        assert_eq!(
            paths("eps")[..5],
            [
                "model.norm.LayerNorm.eps",
                "model.norm.RmsNorm.eps",
                "model.norm.ScaleNorm.eps",
                "optimizer.AdamW.eps",
                "optimizer.Adam.eps"
            ]
        );
    }

    #[test]
    fn what_stands_at_the_top_is_not_confused_with_its_namesakes() {
        assert_eq!(paths("batch"), ["batch"]);
        assert_eq!(paths("name"), ["name"]);
    }

    #[test]
    fn variants_and_structs_may_stand_on_the_way_or_be_left_out() {
        for topic in
            ["lr.Triangle.peak_at", "lr.peak_at", "Triangle.peak_at", "LearningRate.peak_at", "recipe.lr.peak_at", "peak_at"]
        {
            assert_eq!(paths(topic), ["lr.Triangle.peak_at"], "{topic}");
        }
        assert_eq!(paths("lr.cycles"), ["lr.CosineRestarts.cycles", "lr.MultiCycle.cycles"]);
        assert_eq!((paths("Encoder"), paths("Encoder.width")), (vec!["model".to_owned()], vec!["model.width".to_owned()]));
        assert_eq!(paths("TextSource.Text"), ["data.sources.Text"]);
    }

    #[test]
    fn the_recipe_and_the_codes_are_topics_too() {
        assert_eq!((paths("recipe"), paths("unknown-field")), (vec!["Recipe".to_owned()], vec!["unknown-field".to_owned()]));
    }

    #[test]
    fn a_topic_that_is_none_is_compared_with_all_there_are() {
        let near = |topic| find(topic).err().flatten();
        assert_eq!(near("widht").as_deref(), Some("width"));
        assert_eq!(near("modle.width").as_deref(), Some("model.width"));
        assert_eq!(near("Triangel").as_deref(), Some("Triangle"));
        assert_eq!(near("unknow-field").as_deref(), Some("unknown-field"));
        assert_eq!((near("banana"), near(""), near(".")), (None, None, None));
        assert!(find("width.model").is_err());
    }
}
