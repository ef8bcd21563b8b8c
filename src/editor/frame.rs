//! An open bracket before the cursor, and what the schema knows of it.
//!
//! Invariant: what the schema does not know is `None`, never a guess that a reader would have to take back.

use crate::recipe::decode::Decode as _;
use crate::recipe::schema::{FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::settings::Recipe;

/// What opened a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bracket {
    /// Nothing: the file itself.
    File,
    /// `(`, or `{` as other languages have it.
    Round,
    /// `[`
    Square,
    /// The `(` of `import(`.
    Import,
}

/// How far the present entry of a frame is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing of it stands there.
    Start,
    /// `name:` stands there.
    Field(String),
    /// Something without a name stands there.
    Item,
    /// `..` stands there.
    Rest,
    /// `let` stands there.
    LetName,
    /// `let name =` stands there.
    LetValue,
}

/// An open bracket.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub bracket: Bracket,
    /// The struct or variant whose fields stand in it.
    pub record: Option<&'static RecordInfo>,
    /// What a value without a name is in it.
    pub item: Option<TypeInfo>,
    /// The names of the fields that stand in it.
    pub given: Vec<String>,
    pub entry: Entry,
}

impl Frame {
    /// The file itself, which holds a recipe.
    pub fn file() -> Self {
        Self { bracket: Bracket::File, record: None, item: Some(Recipe::info()), given: Vec::new(), entry: Entry::Start }
    }

    /// What a bracket opens after `name`, where `wanted` is expected.
    pub fn open(bracket: char, name: Option<&str>, wanted: Option<TypeInfo>, first: Option<&str>) -> Self {
        let frame = Self { bracket: Bracket::Round, record: None, item: None, given: Vec::new(), entry: Entry::Start };
        match (bracket, name) {
            ('[', _) => Self { bracket: Bracket::Square, item: item_of(wanted), ..frame },
            (_, Some("import")) => Self { bracket: Bracket::Import, ..frame },
            (_, Some("Some")) => Self { item: wanted, ..frame },
            (_, Some(name)) => frame.of(record_named(name, wanted, first)),
            (_, None) => match wanted {
                Some(TypeInfo::Record(record)) => frame.of(Some(record)),
                Some(TypeInfo::Choice(choice)) => frame.of(choose(&choice.variants.iter().collect::<Vec<_>>(), first)),
                Some(TypeInfo::Pair) => Self { item: Some(TypeInfo::Real), ..frame },
                _ => Self { item: wanted, ..frame },
            },
        }
    }

    fn of(self, record: Option<&'static RecordInfo>) -> Self {
        let item = record.and_then(|record| record.fields.first()).map(|field| (field.ty)());
        Self { record, item, ..self }
    }

    /// The declaration of a field of this name.
    pub fn field(&self, name: &str) -> Option<&'static FieldInfo> {
        self.record?.fields.iter().find(|field| field.name == name)
    }

    /// The field that the present entry gives; without a name that is the first.
    pub fn present(&self) -> Option<&'static FieldInfo> {
        match &self.entry {
            Entry::Field(name) => self.field(name),
            Entry::Start | Entry::Item => self.record?.fields.first(),
            Entry::Rest | Entry::LetName | Entry::LetValue => None,
        }
    }

    /// What the value of the present entry must be.
    pub fn wanted(&self) -> Option<TypeInfo> {
        match &self.entry {
            Entry::Field(name) => self.field(name).map(|field| (field.ty)()),
            Entry::Start | Entry::Item => self.item,
            Entry::Rest | Entry::LetName | Entry::LetValue => None,
        }
    }
}

/// What the items of a list are; two numbers may stand in square brackets too.
fn item_of(wanted: Option<TypeInfo>) -> Option<TypeInfo> {
    match wanted? {
        TypeInfo::List(item) => Some(item()),
        TypeInfo::Pair => Some(TypeInfo::Real),
        _ => None,
    }
}

/// The struct of this name that is wanted; where none is, any in the schema: in a `let`, in a file that is imported, in the wrong place.
fn record_named(name: &str, wanted: Option<TypeInfo>, first: Option<&str>) -> Option<&'static RecordInfo> {
    let here = match wanted {
        Some(TypeInfo::Record(record)) => (record.name == name).then_some(record),
        Some(TypeInfo::Choice(choice)) => choice.variants.iter().find(|variant| variant.name == name),
        _ => None,
    };
    here.or_else(|| choose(&records().into_iter().filter(|record| record.name == name).collect::<Vec<_>>(), first))
}

/// Of several structs that could be meant, the one that has the field that stands first; else the only one.
pub(super) fn choose(among: &[&'static RecordInfo], first: Option<&str>) -> Option<&'static RecordInfo> {
    let has = |record: &RecordInfo| first.is_some_and(|name| record.fields.iter().any(|field| field.name == name));
    match among {
        [only] => Some(only),
        several => several.iter().find(|record| has(record)).copied(),
    }
}

/// Every struct and variant of the schema, from the recipe down.
pub(super) fn records() -> Vec<&'static RecordInfo> {
    let mut found = Vec::new();
    let mut open = vec![Recipe::info()];
    while let Some(ty) = open.pop() {
        for record in ty.records() {
            // A struct that two fields hold is met twice.
            if found.iter().all(|known: &&RecordInfo| !std::ptr::eq(*known, record)) {
                found.push(record);
                open.extend(record.fields.iter().rev().map(|field| (field.ty)()));
            }
        }
    }
    found
}
