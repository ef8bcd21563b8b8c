//! Where the cursor is, told from the tokens before it: in half-written text there is no tree to ask.
//!
//! Invariant: a lost bracket or comma before the cursor costs at most the struct that it stands in; whatever the text, there is an
//! answer.

use std::ops::Range;

use super::frame::{Bracket, Entry, Frame};
use crate::recipe::decode::Decode as _;
use crate::recipe::schema::{FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::settings::Recipe;
use crate::source::SourceId;
use crate::syntax::{Kind, Token, tokens};

/// What can be written at the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A comment.
    Comment,
    /// The inside of a text.
    Text,
    /// The unit of the number just before.
    Unit,
    /// The head of the file: a `let` or the recipe.
    Top,
    /// A name after `let`.
    LetName,
    /// What follows `..`.
    Rest,
    /// A field, or a value without a name.
    Entry,
    /// A value.
    Value,
    /// What follows a value: an operator or a comma.
    After,
}

/// A place in a text.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    pub place: Place,
    /// The bytes of the name, unit or text that the cursor is in.
    pub word: Range<usize>,
    /// The brackets that are open here, the file itself first; never empty.
    frames: Vec<Frame>,
    /// The names that are defined above.
    pub lets: Vec<String>,
}

/// Stands at the cursor while the text before it is cut into tokens; a letter that neither a number nor an escape takes in.
const MARK: char = 'z';

impl Cursor {
    /// The cursor at a byte of a text.
    pub fn at(text: &str, offset: usize) -> Self {
        let offset = text.floor_char_boundary(offset);
        let (before, after) = text.split_at(offset);
        let marked = format!("{before}{MARK}");
        let all = tokens(SourceId(0), &marked);
        if let Some((at, content)) = open_text(&marked, &all) {
            return walk(&all, at, after).cursor(Place::Text, content..offset);
        }
        let Some((at, last)) = all.iter().enumerate().rev().find(|(_, t)| t.kind != Kind::End) else {
            return walk(&all, 0, after).cursor(Place::Comment, offset..offset);
        };
        if last.span.end as usize != marked.len() {
            return walk(&all, at + 1, after).cursor(Place::Comment, offset..offset);
        }
        let walk = walk(&all, at, after);
        let more = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        let start = (last.span.start as usize).min(offset);
        let blank = start == offset + more;
        let place = walk.place(start, blank, &marked);
        // Just before a word one begins another; a unit goes on.
        let goes_on = start < offset || place == Place::Unit;
        walk.cursor(place, start..if goes_on { offset + more } else { offset })
    }

    /// The innermost open bracket.
    pub fn frame(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// What a value must be here.
    pub fn wanted(&self) -> Option<TypeInfo> {
        self.frame().and_then(Frame::wanted)
    }

    /// The frame of the field that is here, also where its value is in a list or in parentheses.
    fn home(&self) -> Option<usize> {
        let import = self.frames.iter().rposition(|frame| frame.bracket == Bracket::Import).map_or(0, |i| i + 1);
        let holds = |frame: &Frame| frame.record.is_some() || matches!(frame.entry, Entry::Field(_));
        self.frames.iter().rposition(holds).filter(|home| *home >= import)
    }

    /// The field that is here, and the struct that it belongs to.
    pub fn field(&self) -> Option<(&'static RecordInfo, &'static FieldInfo)> {
        let frame = self.frames.get(self.home()?)?;
        Some((frame.record?, frame.present()?))
    }

    /// The names of the fields around the struct that is here, from the recipe down, where the file holds a recipe.
    pub fn around(&self) -> Option<Vec<&'static str>> {
        let TypeInfo::Record(recipe) = Recipe::info() else { return None };
        let around = self.frames.get(1..self.home()?)?;
        let is_recipe = self.frames.get(1)?.record.is_some_and(|record| std::ptr::eq(record, recipe));
        is_recipe.then(|| around.iter().filter_map(Frame::present).map(|field| field.name).collect())
    }

    /// Whether the cursor is in the path of an import.
    pub fn in_import(&self) -> bool {
        self.frame().is_some_and(|frame| frame.bracket == Bracket::Import)
    }
}

/// A text that is not closed and lies on the line of the cursor: its token, and where its letters begin.
fn open_text(text: &str, all: &[Token]) -> Option<(usize, usize)> {
    let line = text.rfind('\n').map_or(0, |i| i + 1);
    all.iter().enumerate().filter(|(_, t)| t.kind == Kind::Bad && t.span.start as usize >= line).find_map(|(at, token)| {
        let body = text.get(token.span.start as usize..token.span.end as usize)?;
        let opener = body.find('"').filter(|i| body[..*i].trim_end_matches('#').trim_start_matches('r').is_empty())?;
        let closed = body.len() > opener + 1 && body.ends_with('"');
        (!closed).then_some((at, token.span.start as usize + opener + 1))
    })
}

/// The tokens before the cursor, walked through.
struct Walk<'t> {
    tokens: &'t [Token],
    frames: Vec<Frame>,
    lets: Vec<String>,
}

/// Walks up to a token; `after` is the text behind the cursor.
fn walk<'t>(all: &'t [Token], end: usize, after: &str) -> Walk<'t> {
    let before = all.get(..end).unwrap_or_default();
    let mut walk = Walk { tokens: before, frames: vec![Frame::file()], lets: Vec::new() };
    (0..before.len()).for_each(|at| walk.step(at));
    let later = fields_after(after);
    if let Some(frame) = walk.frames.last_mut() {
        frame.given.extend(later);
    }
    walk
}

/// The names of the fields that follow in the struct that a text begins in.
fn fields_after(text: &str) -> Vec<String> {
    let all = tokens(SourceId(0), text);
    let (mut depth, mut found) = (0_usize, Vec::new());
    for (at, token) in all.iter().enumerate() {
        match &token.kind {
            Kind::Punct('(' | '[' | '{') => depth += 1,
            Kind::Punct(')' | ']' | '}') if depth == 0 => break,
            Kind::Punct(')' | ']' | '}') => depth -= 1,
            Kind::Ident(name) if depth == 0 && is_punct(all.get(at + 1), ':') => found.push(name.clone()),
            _ => (),
        }
    }
    found
}

fn is_punct(token: Option<&Token>, wanted: char) -> bool {
    token.is_some_and(|t| t.kind == Kind::Punct(wanted))
}

impl Walk<'_> {
    fn cursor(self, place: Place, word: Range<usize>) -> Cursor {
        let mut lets = self.lets;
        // A name is not known in its own definition.
        if self.frames.first().is_some_and(|file| file.entry == Entry::LetValue) {
            lets.pop();
        }
        Cursor { place, word, frames: self.frames, lets }
    }

    fn before(&self, at: usize, back: usize) -> Option<&Token> {
        at.checked_sub(back).and_then(|i| self.tokens.get(i))
    }

    fn name_before(&self, at: usize, back: usize) -> Option<&str> {
        match &self.before(at, back)?.kind {
            Kind::Ident(name) => Some(name),
            _ => None,
        }
    }

    fn step(&mut self, at: usize) {
        let Some(token) = self.tokens.get(at) else { return };
        match &token.kind {
            Kind::Punct(open @ ('(' | '[' | '{')) => self.open(at, *open),
            Kind::Punct(close @ (')' | ']' | '}')) => self.close(*close),
            Kind::Punct(',') => self.next_entry(),
            Kind::Punct(';') => self.end_definition(),
            Kind::Punct(':') => self.name_entry(at),
            Kind::Punct('=') => self.equals(at),
            Kind::Ident(word) if word == "let" && self.frames.len() == 1 => self.enter(Entry::LetName),
            Kind::Ident(name) if self.entry() == Some(&Entry::LetName) => self.lets.push(name.clone()),
            Kind::Dots if self.entry() == Some(&Entry::Start) => self.enter(Entry::Rest),
            _ => self.something(),
        }
    }

    fn entry(&self) -> Option<&Entry> {
        self.frames.last().map(|frame| &frame.entry)
    }

    fn enter(&mut self, entry: Entry) {
        if let Some(frame) = self.frames.last_mut() {
            frame.entry = entry;
        }
    }

    fn something(&mut self) {
        if self.entry() == Some(&Entry::Start) {
            self.enter(Entry::Item);
        }
    }

    fn next_entry(&mut self) {
        if self.frames.len() > 1 {
            self.enter(Entry::Start);
        }
    }

    /// `;` ends a definition, also one whose brackets are not closed.
    fn end_definition(&mut self) {
        if self.frames.first().is_some_and(|file| matches!(file.entry, Entry::LetName | Entry::LetValue)) {
            self.frames.truncate(1);
            self.enter(Entry::Start);
        } else {
            self.next_entry();
        }
    }

    /// `=` after a `let` name, or where `:` should stand.
    fn equals(&mut self, at: usize) {
        if self.entry() == Some(&Entry::LetName) {
            self.enter(Entry::LetValue);
        } else {
            self.name_entry(at);
        }
    }

    /// `name:`; where the field belongs to a struct further out and leads its line, brackets were lost before it.
    fn name_entry(&mut self, at: usize) {
        let is_path = is_punct(self.before(at, 2), ':') || is_punct(self.tokens.get(at + 1), ':');
        let (Some(name), false) = (self.name_before(at, 1).map(str::to_owned), is_path) else { return };
        let knows = |frame: &Frame| frame.field(&name).is_some();
        let leads = self.before(at, 1).is_some_and(|t| t.leads);
        if let Some(home) = self.frames.iter().rposition(knows).filter(|_| leads) {
            self.frames.truncate(home + 1);
        }
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.bracket == Bracket::Round) {
            frame.given.push(name.clone());
            frame.entry = Entry::Field(name);
        }
    }

    fn open(&mut self, at: usize, bracket: char) {
        let mut name = self.name_before(at, 1).filter(|_| bracket != '[').map(str::to_owned);
        let lost_colon = name.take_if(|name| {
            let begins = matches!(self.before(at, 2).map(|t| &t.kind), Some(Kind::Punct('(' | ',')));
            begins && self.frames.last().is_some_and(|frame| frame.field(name).is_some())
        });
        if let Some(field) = lost_colon {
            self.enter(Entry::Field(field));
        }
        let first = match self.tokens.get(at + 1).map(|t| &t.kind) {
            Some(Kind::Ident(field)) if is_punct(self.tokens.get(at + 2), ':') => Some(field.as_str()),
            _ => None,
        };
        let wanted = self.frames.last().and_then(Frame::wanted);
        let frame = Frame::open(bracket, name.as_deref(), wanted, first);
        self.something();
        self.frames.push(frame);
    }

    /// A closing bracket closes what is not closed within it; one that nothing awaits is passed over.
    fn close(&mut self, close: char) {
        let fits = |frame: &Frame| match frame.bracket {
            Bracket::File => false,
            Bracket::Square => close == ']',
            Bracket::Round | Bracket::Import => close != ']',
        };
        if let Some(opened) = self.frames.iter().rposition(fits) {
            self.frames.truncate(opened);
        }
    }

    /// What can be written where a word begins, which may be empty.
    fn place(&self, word: usize, empty: bool, marked: &str) -> Place {
        let Some(frame) = self.frames.last() else { return Place::Top };
        let Some(last) = self.tokens.last() else { return Place::Top };
        let blank = marked.get(last.span.end as usize..word).unwrap_or_default();
        let same_line = !blank.contains('\n');
        match (&last.kind, &frame.entry) {
            (_, Entry::LetName) => Place::LetName,
            (Kind::Number(_), _) if same_line && (blank.is_empty() || !empty) => Place::Unit,
            (Kind::Dots, Entry::Rest) => Place::Rest,
            (Kind::Punct('.'), _) if blank.is_empty() => Place::Rest,
            (_, Entry::Start) => match frame.bracket {
                Bracket::File => Place::Top,
                Bracket::Round => Place::Entry,
                Bracket::Square | Bracket::Import => Place::Value,
            },
            (Kind::Punct(':' | '=' | '+' | '-' | '*' | '/'), _) => Place::Value,
            // A comma or `;` is lost before a new line.
            _ if !same_line => match frame.bracket {
                Bracket::File if frame.entry == Entry::LetValue => Place::Top,
                Bracket::Round => Place::Entry,
                Bracket::Square => Place::Value,
                Bracket::File | Bracket::Import => Place::After,
            },
            _ => Place::After,
        }
    }
}
