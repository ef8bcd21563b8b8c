//! What could stand at the cursor.

use std::ops::Range;

use super::cursor::{Cursor, Place};
use super::frame::{Bracket, Entry, records};
use super::insert::{self, Piece, required, text};
use super::words;
use crate::recipe::decode::Decode as _;
use crate::recipe::schema::{FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::settings::Recipe;
use crate::recipe::value::{Dimension, units};

/// What the world around a recipe has to offer.
pub struct Offers<'a> {
    /// The files and directories that an import could name from here, under a path as it is written so far; directories end with `/`.
    pub files: &'a mut dyn FnMut(&str) -> Vec<String>,
    /// The names of the devices that can be planned for.
    pub devices: &'a [String],
}

/// What kind of thing is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionKind {
    /// A field of the struct.
    Field,
    /// A struct or variant.
    Variant,
    /// A value.
    Value,
    /// A unit.
    Unit,
    /// A `let` name.
    Name,
    /// A file or directory.
    File,
    /// A device.
    Device,
    /// A form of the language.
    Keyword,
}

/// One offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What is shown and typed for.
    pub label: String,
    /// What kind of thing it is.
    pub kind: CompletionKind,
    /// What it is, in a few words.
    pub detail: String,
    /// What it means; may be empty.
    pub doc: String,
    /// What is written.
    pub insert: Vec<Piece>,
    /// The bytes that it replaces; they lie on one line and touch the cursor.
    pub replace: Range<usize>,
}

/// What could stand at a byte of a text, the likeliest first.
pub fn complete(source: &str, offset: usize, offers: &mut Offers<'_>) -> Vec<Completion> {
    let cursor = Cursor::at(source, offset);
    let offer = Offer { cursor: &cursor, source };
    match cursor.place {
        Place::Comment | Place::LetName | Place::After => Vec::new(),
        Place::Text => offer.in_text(offers),
        Place::Unit => offer.units(),
        Place::Top => offer.top(),
        Place::Rest => vec![offer.import(offer.dots())],
        Place::Entry => offer.entry(),
        Place::Value => offer.values(offers),
    }
}

struct Offer<'a> {
    cursor: &'a Cursor,
    source: &'a str,
}

impl Offer<'_> {
    fn offer(&self, kind: CompletionKind, label: &str, detail: impl Into<String>, insert: Vec<Piece>) -> Completion {
        let replace = self.cursor.word.clone();
        Completion { label: label.to_owned(), kind, detail: detail.into(), doc: String::new(), insert, replace }
    }

    fn word(&self, kind: CompletionKind, label: &str, detail: impl Into<String>) -> Completion {
        self.offer(kind, label, detail, vec![text(label)])
    }

    /// Whether `c` stands after the word already.
    fn followed_by(&self, c: char) -> bool {
        self.source.get(self.cursor.word.end..).is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(c))
    }

    fn in_text(&self, offers: &mut Offers<'_>) -> Vec<Completion> {
        let written = self.source.get(self.cursor.word.clone()).unwrap_or_default();
        if self.cursor.in_import() {
            let found = (offers.files)(written);
            return found.iter().map(|path| self.word(CompletionKind::File, path, "a recipe")).collect();
        }
        if self.names_device() {
            return offers.devices.iter().map(|name| self.word(CompletionKind::Device, name, "a device")).collect();
        }
        Vec::new()
    }

    fn names_device(&self) -> bool {
        self.cursor.field().is_some_and(|(record, field)| (record.name, field.name) == ("Budget", "device"))
    }

    fn units(&self) -> Vec<Completion> {
        let wanted = self.cursor.wanted();
        let fits = |dimension| match wanted {
            Some(TypeInfo::Share) => dimension == Dimension::Percent,
            Some(TypeInfo::Duration) => dimension == Dimension::Time,
            Some(TypeInfo::Size) => dimension == Dimension::Size,
            Some(TypeInfo::Work) => dimension == Dimension::Work,
            Some(TypeInfo::Interval | TypeInfo::Portion) => matches!(dimension, Dimension::Percent | Dimension::Time),
            Some(TypeInfo::Count | TypeInfo::AutoCount) => dimension == Dimension::Plain,
            Some(TypeInfo::Real | TypeInfo::Pair) => matches!(dimension, Dimension::Plain | Dimension::Percent),
            Some(TypeInfo::Text | TypeInfo::Flag | TypeInfo::List(_) | TypeInfo::Record(_)) => false,
            _ => true,
        };
        let in_number =
            self.source.get(self.cursor.word.clone()).is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let fitting = units().filter(|(_, dimension, ..)| fits(*dimension) && !in_number);
        fitting
            .map(|(name, dimension, times, over)| {
                self.word(CompletionKind::Unit, name, words::unit(name, dimension, times, over))
            })
            .collect()
    }

    fn top(&self) -> Vec<Completion> {
        let mut found = Vec::new();
        if let TypeInfo::Record(recipe) = Recipe::info() {
            found.push(self.variant(recipe));
        }
        let pieces = vec![text("let "), Piece::Hole("name".into()), text(" = "), Piece::Hole(String::new()), text(";")];
        found.push(self.offer(CompletionKind::Keyword, "let", "a name for a value", pieces));
        found
    }

    /// The bytes from the dots before the cursor on.
    fn dots(&self) -> Range<usize> {
        let Range { start, end } = self.cursor.word;
        let before = self.source.get(..start).unwrap_or_default();
        before.trim_end_matches('.').len()..end
    }

    fn import(&self, replace: Range<usize>) -> Completion {
        let pieces = vec![text("..import(\""), Piece::Hole(String::new()), text("\")")];
        let offer = self.offer(CompletionKind::Keyword, "..import(\"\")", "the fields of another recipe", pieces);
        Completion { doc: "what is not given here is taken from that file's struct of the same name".into(), replace, ..offer }
    }

    /// The fields that are not given yet, those that must be given first.
    fn entry(&self) -> Vec<Completion> {
        let Some(frame) = self.cursor.frame() else { return Vec::new() };
        let Some(record) = frame.record else {
            return if frame.item.is_some() { self.of_type(frame.item, None) } else { Vec::new() };
        };
        let free = record.fields.iter().filter(|field| !frame.given.iter().any(|name| name == field.name));
        let (needed, others): (Vec<&FieldInfo>, Vec<&FieldInfo>) = free.partition(|field| required(field));
        let mut found: Vec<Completion> = needed.into_iter().chain(others).map(|field| self.field(field)).collect();
        if !record.fields.is_empty() {
            found.push(self.import(self.dots()));
        }
        found
    }

    fn field(&self, field: &FieldInfo) -> Completion {
        let pieces = if self.followed_by(':') { vec![text(field.name)] } else { insert::field(field) };
        let offer = self.offer(CompletionKind::Field, field.name, words::wants(field), pieces);
        Completion { doc: words::doc(field.doc), ..offer }
    }

    fn variant(&self, record: &'static RecordInfo) -> Completion {
        let is_recipe = matches!(Recipe::info(), TypeInfo::Record(recipe) if std::ptr::eq(recipe, record));
        let pieces = if self.followed_by('(') { vec![text(record.name)] } else { insert::record(record, is_recipe) };
        let names: Vec<&str> = record.fields.iter().map(|field| field.name).collect();
        let detail = if names.is_empty() { "no fields".to_owned() } else { names.join(", ") };
        Completion { doc: words::doc(record.doc), ..self.offer(CompletionKind::Variant, record.name, detail, pieces) }
    }

    fn values(&self, offers: &Offers<'_>) -> Vec<Completion> {
        if self.cursor.in_import() {
            let pieces = vec![text("\""), Piece::Hole(String::new()), text("\"")];
            return vec![self.offer(CompletionKind::Value, "\"\"", "the path of a recipe", pieces)];
        }
        if self.names_device() {
            let quoted = |name: &String| self.word(CompletionKind::Device, &format!("\"{name}\""), "a device");
            return offers.devices.iter().map(quoted).collect();
        }
        let in_list = self.cursor.frame().is_some_and(|frame| frame.bracket == Bracket::Square);
        let default = self.cursor.field().filter(|_| !in_list).and_then(|(_, field)| field.default);
        self.of_type(self.cursor.wanted(), default)
    }

    /// The values of a type, then the names that are defined above.
    fn of_type(&self, wanted: Option<TypeInfo>, default: Option<&str>) -> Vec<Completion> {
        let mut found = match wanted {
            Some(TypeInfo::Record(record)) => vec![self.variant(record)],
            Some(TypeInfo::Choice(choice)) => choice.variants.iter().map(|variant| self.variant(variant)).collect(),
            Some(TypeInfo::Flag) => {
                ["true", "false"].map(|flag| self.word(CompletionKind::Value, flag, "a truth value")).to_vec()
            }
            Some(TypeInfo::AutoCount) => vec![self.word(CompletionKind::Value, "Auto", "the fastest that fits")],
            Some(ty @ (TypeInfo::List(_) | TypeInfo::Text)) => vec![self.example(ty)],
            Some(_) => Vec::new(),
            None => self.anything(),
        };
        if let Some(default) = default {
            match found.iter_mut().find(|offer| offer.label == default.trim_end_matches("()")) {
                Some(offer) => offer.detail.insert_str(0, "the default: "),
                None => found.push(self.word(CompletionKind::Value, default, "the default")),
            }
        }
        found.extend(self.cursor.lets.iter().map(|name| self.word(CompletionKind::Name, name, "a `let` name")));
        found
    }

    fn example(&self, ty: TypeInfo) -> Completion {
        let pieces = insert::value(ty, None, 0);
        self.offer(CompletionKind::Value, &insert::plain(&pieces), ty.to_string(), pieces)
    }

    /// In a `let` any struct may stand, but not in arithmetic.
    fn anything(&self) -> Vec<Completion> {
        let before = self.source.get(..self.cursor.word.start).unwrap_or_default();
        let begins = before.trim_end().ends_with('=');
        let in_let = begins && self.cursor.frame().is_some_and(|frame| frame.entry == Entry::LetValue);
        if in_let { records().into_iter().map(|record| self.variant(record)).collect() } else { Vec::new() }
    }
}
