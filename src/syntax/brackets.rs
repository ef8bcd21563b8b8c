//! Brackets that do not match, mended before parsing: what is lost is put in, what is wrong is exchanged, what is too much is taken out,
//! and each mend is reported. So the parser meets brackets that match, and everything around the mistake is read as it was meant.
//!
//! Which bracket is at fault is guessed from three things: how many of each kind there are too many or too few; how lines are indented (what
//! stands on a line of its own, no further right than the line of an opening bracket, is not within that bracket); and names (a bracket right
//! after a name is `(`).
//!
//! Invariant: the brackets of the result match, tokens keep their order, and those that were put in have no width. Where brackets match from
//! the start nothing is looked at twice and nothing is changed.

mod lost;

use super::lexer::{Kind, Token};
use super::parser::closing;
use crate::diag::{Code, Diagnostic};
use crate::source::Span;

/// Mends the brackets of a text. With `silent` nothing is reported: a text or comment that does not end hides brackets, and is reported.
pub(super) fn mend(tokens: Vec<Token>, text: &str, silent: bool) -> (Vec<Token>, Vec<Diagnostic>) {
    if matched(&tokens) {
        return (tokens, Vec::new());
    }
    let mut mender = Mender::new(tokens, text);
    mender.run();
    (mender.out, if silent { Vec::new() } else { mender.found })
}

/// Brackets that do not match, after which the rest of a text is not read.
const PATIENCE: usize = 100;

fn bracket(kind: &Kind) -> Option<char> {
    match kind {
        Kind::Punct(c @ ('(' | ')' | '[' | ']' | '{' | '}')) => Some(*c),
        _ => None,
    }
}

fn matched(tokens: &[Token]) -> bool {
    let mut open = Vec::new();
    for c in tokens.iter().filter_map(|t| bracket(&t.kind)) {
        match c {
            '(' | '[' | '{' => open.push(closing(c)),
            _ if open.pop() != Some(c) => return false,
            _ => {}
        }
    }
    open.is_empty()
}

/// Where a token stands on its line.
#[derive(Clone, Copy, Default)]
struct Place {
    line: usize,
    column: usize,
    /// Blanks at the start of the line.
    indent: usize,
}

/// A bracket that is open.
#[derive(Clone, Copy)]
struct Open {
    bracket: char,
    span: Span,
    place: Place,
    /// Its index in the result.
    at: usize,
    /// Whether it is the last token of its line.
    ends_line: bool,
    /// Index in the result just after the `:` of the entry that is being read, or after the bracket or comma before it.
    value: usize,
}

struct Mender {
    tokens: Vec<Token>,
    places: Vec<Place>,
    out: Vec<Token>,
    open: Vec<Open>,
    found: Vec<Diagnostic>,
    /// For each kind of bracket, how many more are opened than closed.
    surplus: [i64; 3],
}

fn kind_of(bracket: char) -> usize {
    match bracket {
        '(' | ')' => 0,
        '[' | ']' => 1,
        _ => 2,
    }
}

fn places(tokens: &[Token], text: &str) -> Vec<Place> {
    let (mut line, mut start, mut seen) = (0, 0, 0);
    let mut places = Vec::with_capacity(tokens.len());
    for token in tokens {
        let at = token.span.start as usize;
        let between = text.get(seen..at).unwrap_or_default();
        if let Some(last) = between.rfind('\n') {
            line += between.matches('\n').count();
            start = seen + last + 1;
        }
        seen = at;
        let on_line = text.get(start..).unwrap_or_default();
        // Indentation is made of blanks of one byte.
        let indent = on_line.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
        places.push(Place { line, column: at - start, indent });
    }
    places
}

impl Mender {
    fn new(tokens: Vec<Token>, text: &str) -> Self {
        let mut surplus = [0; 3];
        for c in tokens.iter().filter_map(|t| bracket(&t.kind)) {
            surplus[kind_of(c)] += if matches!(c, '(' | '[' | '{') { 1 } else { -1 };
        }
        let places = places(&tokens, text);
        Self { out: Vec::with_capacity(tokens.len()), tokens, places, open: Vec::new(), found: Vec::new(), surplus }
    }

    fn run(&mut self) {
        for i in 0..self.tokens.len() {
            let Some(token) = self.tokens.get(i).cloned() else { return };
            if self.found.len() >= PATIENCE {
                return self.give_up(token.span);
            }
            self.close_what_ended(i, &token);
            match bracket(&token.kind) {
                Some(c @ ('(' | '[' | '{')) => self.opened(c, i, token),
                Some(c) => self.closed(c, i, token),
                None if token.kind == Kind::End => self.end(token),
                None => {
                    self.close_before_field(i, &token);
                    if !self.split_name_and_field(i, &token) {
                        self.open_what_was_lost(i, &token);
                        self.plain(token);
                    }
                }
            }
        }
    }

    /// Leaves out the rest of the text, and closes what is open.
    fn give_up(&mut self, span: Span) {
        let Some(end) = self.tokens.pop() else { return };
        self.end(end);
        self.found.truncate(PATIENCE);
        let help = "mend what is reported before this; if there is no end to it, this is no recipe";
        let found = Diagnostic::error(Code::SyntaxUnexpected, span, "too many errors: the rest of the text is not read");
        self.found.push(found.here("read up to here").help(help));
    }

    fn place(&self, i: usize) -> Place {
        self.places.get(i).copied().unwrap_or_default()
    }

    fn plain(&mut self, token: Token) {
        let starts_value = matches!(token.kind, Kind::Punct(':' | ','));
        self.out.push(token);
        let at = self.out.len();
        if let Some(open) = self.open.last_mut().filter(|_| starts_value) {
            open.value = at;
        }
    }

    fn push_open(&mut self, bracket: char, i: usize, token: Token, ends_line: bool) {
        let at = self.out.len();
        self.open.push(Open { bracket, span: token.span, place: self.place(i), at, ends_line, value: at + 1 });
        self.out.push(token);
    }

    fn opened(&mut self, c: char, i: usize, mut token: Token) {
        let ends_line = self.tokens.get(i + 1).is_none_or(|next| next.leads);
        let mut c = c;
        // A bracket right after a name is `(`. Braces may be a struct of another language, which the parser knows; unless they do not match.
        let after_name = self.after_name() && !token.leads;
        let odd = c == '[' || c == '{' && self.surplus[kind_of(c)] > 0;
        if after_name && odd && self.surplus[kind_of(c)] > 0 {
            let found = Diagnostic::error(Code::SyntaxUnexpected, token.span, format!("expected `(`, found `{c}`"));
            self.found.push(found.here("not expected here").help("write `(` here").fix("write `(`", true, token.span, "("));
            self.surplus[kind_of(c)] -= 1;
            self.surplus[0] += 1;
            c = '(';
            token.kind = Kind::Punct('(');
        }
        self.push_open(c, i, token, ends_line);
    }

    fn after_name(&self) -> bool {
        matches!(self.out.last().map(|t| &t.kind), Some(Kind::Ident(word)) if word.starts_with(char::is_uppercase))
    }

    /// Closes the brackets that a token on a line of its own shows to have ended.
    fn close_what_ended(&mut self, i: usize, token: &Token) {
        let place = self.place(i);
        if !token.leads || token.kind == Kind::End {
            return;
        }
        let closes = bracket(&token.kind).is_some_and(|c| matches!(c, ')' | ']' | '}'));
        while let Some(open) = self.open.last().copied() {
            let outside = if closes { place.column < open.place.indent } else { place.column <= open.place.indent };
            let lost = self.surplus[kind_of(open.bracket)] > 0;
            if open.place.line >= place.line || !outside || !lost {
                return;
            }
            self.put_closer(open, token);
        }
    }

    /// Puts in the closing bracket of what is open innermost, before a comma that stands there, unless another comma is next.
    fn put_closer(&mut self, open: Open, next: &Token) {
        self.open.pop();
        self.surplus[kind_of(open.bracket)] -= 1;
        let comma = self.out.pop_if(|last| last.kind == Kind::Punct(',') && next.kind != Kind::Punct(','));
        let close = closing(open.bracket);
        let gap = self.gap();
        let found = Diagnostic::error(Code::SyntaxUnclosed, gap, format!("this `{}` is not closed", open.bracket))
            .here(format!("`{close}` is missing here"))
            .and(open.span, "opened here")
            .help(format!("put a `{close}` here"))
            .fix(format!("put a `{close}` here"), true, gap, close);
        self.found.push(found);
        self.out.push(Token { kind: Kind::Punct(close), span: gap, leads: false });
        self.out.extend(comma);
    }

    /// The place just after the last token of the result.
    fn gap(&self) -> Span {
        let last = self.out.last().map(|t| t.span).unwrap_or_default();
        Span { start: last.end, ..last }
    }

    /// A closing bracket: of what is open innermost, of something further out, of nothing, or the wrong one.
    fn closed(&mut self, c: char, i: usize, token: Token) {
        loop {
            let Some(open) = self.open.last().copied() else { return self.closes_nothing(c, &token, None) };
            let wanted = closing(open.bracket);
            if wanted == c {
                if self.is_early(c, i, &token, open) {
                    // It belongs to an opening bracket that was lost on this line, or is too much.
                    if self.lost_on_line(c, i) {
                        continue;
                    }
                    return self.closes_nothing(c, &token, None);
                }
                self.open.pop();
                self.out.push(token);
                return;
            }
            let (mine, theirs) = (kind_of(open.bracket), kind_of(c));
            if self.surplus[mine] > 0 && self.surplus[theirs] < 0 {
                return self.wrong(c, open, token);
            }
            if self.open.iter().any(|o| closing(o.bracket) == c) && self.surplus[mine] > 0 {
                self.put_closer(open, &token);
                continue;
            }
            if self.surplus[theirs] < 0 {
                return self.closes_nothing(c, &token, Some(open));
            }
            return self.wrong(c, open, token);
        }
    }

    /// Whether a closing bracket within a line would end what was opened at the end of another: then it belongs to one that was lost.
    fn is_early(&self, c: char, i: usize, token: &Token, open: Open) -> bool {
        let elsewhere = open.place.line != self.place(i).line;
        // Nor does a comma follow the recipe.
        let last = self.open.len() == 1 && self.tokens.get(i + 1).is_some_and(|next| next.kind == Kind::Punct(','));
        self.surplus[kind_of(c)] < 0 && !token.leads && (elsewhere && open.ends_line || last)
    }

    /// Puts in the opening bracket that the value before this closing bracket lacks; false where none can be seen to lack one.
    fn lost_on_line(&mut self, c: char, i: usize) -> bool {
        let Some(open) = self.open.last().copied() else { return false };
        let line = self.place(i).line;
        // The entry that ends here begins on this line, and has values that are not named: `betas: 0.9, 0.98)`.
        let from = self.entry_with_loose_values(open, line);
        match from {
            Some(at) => {
                self.insert_opener(c, at);
                true
            }
            None => false,
        }
    }

    /// Where the value begins that is followed by values without names up to here.
    fn entry_with_loose_values(&self, open: Open, line: usize) -> Option<usize> {
        let mut at = self.out.len();
        let (mut depth, mut loose) = (0_usize, false);
        while at > open.at + 1 {
            at -= 1;
            let token = self.out.get(at)?;
            match token.kind {
                Kind::Punct(')' | ']' | '}') => depth += 1,
                Kind::Punct('(' | '[' | '{') => depth = depth.checked_sub(1)?,
                Kind::Punct(':') if depth == 0 => {
                    return (loose && self.line_of(token.span) == line).then_some(at + 1);
                }
                Kind::Punct(',') if depth == 0 => loose = true,
                _ => {}
            }
        }
        None
    }

    fn line_of(&self, span: Span) -> usize {
        let i = self.tokens.partition_point(|t| t.span.start < span.start);
        self.place(i).line
    }

    fn insert_opener(&mut self, close: char, at: usize) {
        let open = opening(close);
        let next = self.out.get(at).map_or_else(|| self.gap(), |t| t.span);
        let before = at.checked_sub(1).and_then(|i| self.out.get(i)).map(|t| t.span);
        let gap = match before {
            Some(before) if self.name_before(at) => Span { start: before.end, ..before },
            _ => Span { end: next.start, ..next },
        };
        let found = Diagnostic::error(Code::SyntaxUnexpected, gap, format!("expected `{open}` here"))
            .here(format!("`{open}` is missing here"))
            .help(format!("put a `{open}` here"))
            .fix(format!("put a `{open}` here"), true, gap, open);
        self.found.push(found);
        self.surplus[kind_of(open)] += 1;
        let leads = self.out.get(at).is_some_and(|t| t.leads);
        self.out.insert(at, Token { kind: Kind::Punct(open), span: gap, leads });
        let line = self.line_of(gap);
        let place = Place { line, column: 0, indent: self.open.last().map_or(0, |o| o.place.indent) };
        self.open.push(Open { bracket: open, span: gap, place, at, ends_line: false, value: at + 1 });
    }

    fn name_before(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|i| self.out.get(i));
        matches!(before.map(|t| &t.kind), Some(Kind::Ident(_)))
    }

    /// A name whose fields or value follow without the `(`.
    fn open_what_was_lost(&mut self, i: usize, token: &Token) {
        if self.surplus[0] >= 0 {
            return;
        }
        if let Some(at) = self.pair_without_opener(token) {
            self.insert_opener(')', at);
            return;
        }
        if !self.after_name() {
            return;
        }
        let named =
            matches!(token.kind, Kind::Ident(_)) && matches!(self.tokens.get(i + 1).map(|t| &t.kind), Some(Kind::Punct(':')));
        let value = matches!(token.kind, Kind::Number(_) | Kind::Text(_) | Kind::Char(_)) && !token.leads;
        let deeper = self.open.last().is_none_or(|open| self.place(i).column > open.place.indent);
        let indented = !token.leads || deeper && self.place(i).column > self.indent_of_last();
        if !(named && indented || value) {
            return;
        }
        let ends_line = token.leads;
        let at = self.out.len();
        let indent = self.indent_of_last();
        self.insert_opener(')', at);
        if let Some(open) = self.open.last_mut() {
            (open.ends_line, open.place.indent) = (ends_line, indent);
        }
    }

    /// `betas: 0.9, 0.98`: the second number of what can only be a pair; gives where the first stands.
    fn pair_without_opener(&self, token: &Token) -> Option<usize> {
        let [.., Token { kind: Kind::Punct(':'), .. }, Token { kind: Kind::Number(_), .. }, Token { kind: Kind::Punct(','), .. }] =
            self.out.as_slice()
        else {
            return None;
        };
        matches!(token.kind, Kind::Number(_)).then(|| self.out.len() - 2)
    }

    /// Blanks at the start of the line of the last token.
    fn indent_of_last(&self) -> usize {
        let Some(last) = self.out.last() else { return 0 };
        let i = self.tokens.partition_point(|t| t.span.start < last.span.start);
        self.place(i).indent
    }

    /// A closing bracket without its opening one: where the value that it ends begins on this line, the opening one was lost there; else
    /// the closing one is too much.
    fn closes_nothing(&mut self, c: char, token: &Token, open: Option<Open>) {
        if c == ')' && (self.open_after_name(token) || self.split_name_and_number(token)) {
            self.out.push(token.clone());
            return;
        }
        self.surplus[kind_of(c)] += 1;
        if let Some(open) = open.filter(|open| c == ']' && open.value > open.at + 1 && open.value < self.out.len()) {
            self.surplus[kind_of(c)] -= 1;
            let at = self.start_of_value(open);
            self.insert_opener(c, at);
            self.open.pop();
            self.out.push(token.clone());
            return;
        }
        let found = Diagnostic::error(Code::SyntaxUnexpected, token.span, format!("this `{c}` closes nothing"));
        self.found.push(found.here("nothing is open").help("take it out").fix("take it out", false, token.span, ""));
        // Something stood here: the parser need not miss a value in its place.
        self.out.push(Token { kind: Kind::Bad, ..token.clone() });
    }

    /// Where the value of the entry begins that a bracket is in the middle of: after the last `:`.
    fn start_of_value(&self, open: Open) -> usize {
        let mut depth = 0_usize;
        for at in (open.at + 1..self.out.len()).rev() {
            match self.out.get(at).map(|t| &t.kind) {
                Some(Kind::Punct(')' | ']' | '}')) => depth += 1,
                Some(Kind::Punct('(' | '[' | '{')) => depth = depth.saturating_sub(1),
                Some(Kind::Punct(':')) if depth == 0 => return at + 1,
                _ => {}
            }
        }
        open.value
    }

    /// A closing bracket of another kind than the opening one: one of the two is wrong.
    fn wrong(&mut self, c: char, open: Open, mut token: Token) {
        self.open.pop();
        self.surplus[kind_of(open.bracket)] -= 1;
        self.surplus[kind_of(c)] += 1;
        if self.is_wrong_opener(open, c) {
            let right = opening(c);
            let found =
                Diagnostic::error(Code::SyntaxUnexpected, open.span, format!("expected `{right}`, found `{}`", open.bracket));
            let help = format!("write `{right}` here");
            self.found.push(found.here("opened here").and(token.span, "closed here").help(help).fix(
                format!("write `{right}`"),
                true,
                open.span,
                right,
            ));
            if let Some(opener) = self.out.get_mut(open.at) {
                opener.kind = Kind::Punct(right);
            }
            self.out.push(token);
            return;
        }
        let right = closing(open.bracket);
        let found = Diagnostic::error(Code::SyntaxUnexpected, token.span, format!("expected `{right}`, found `{c}`"));
        self.found.push(found.here("closed here").and(open.span, "opened here").help(format!("write `{right}` here")).fix(
            format!("write `{right}`"),
            true,
            token.span,
            right,
        ));
        token.kind = Kind::Punct(right);
        self.out.push(token);
    }

    /// Whether of two brackets that do not match the opening one is the wrong one: after a name it must be `(`, and around fields too;
    /// around values without names it is `[`, unless they are numbers.
    fn is_wrong_opener(&self, open: Open, close: char) -> bool {
        let named = open.at.checked_sub(1).and_then(|i| self.out.get(i)).is_some_and(|t| matches!(t.kind, Kind::Ident(_)));
        let inside = self.out.get(open.at + 1..).unwrap_or_default();
        let fields = matches!(inside, [Token { kind: Kind::Ident(_), .. }, Token { kind: Kind::Punct(':'), .. }, ..]);
        let numbers = matches!(inside, [Token { kind: Kind::Number(_), .. }, ..]);
        match opening(close) {
            '(' => named || fields || numbers,
            '[' => !named && !fields && !numbers && open.bracket == '(',
            _ => false,
        }
    }

    /// The end of the text: what is still open is closed, and the innermost reported.
    fn end(&mut self, token: Token) {
        if let Some(open) = self.open.last().copied() {
            let close = closing(open.bracket);
            let gap = self.gap();
            let found = Diagnostic::error(Code::SyntaxUnclosed, gap, format!("this text ends before `{close}`"))
                .here(format!("`{close}` is missing here"))
                .and(open.span, "opened here")
                .help(format!("put a `{close}` where it ends"));
            // The last bracket of the recipe; what is open beside it could end anywhere.
            let named = open.at.checked_sub(1).and_then(|i| self.out.get(i)).is_some_and(|t| matches!(t.kind, Kind::Ident(_)));
            let only = self.open.len() == 1 && named;
            self.found.push(if only { found.fix(format!("put a `{close}` here"), true, gap, close) } else { found });
        }
        while let Some(open) = self.open.pop() {
            let span = self.gap();
            self.out.push(Token { kind: Kind::Punct(closing(open.bracket)), span, leads: false });
        }
        self.out.push(token);
    }
}

fn opening(close: char) -> char {
    match close {
        ')' => '(',
        ']' => '[',
        _ => '{',
    }
}
