//! Random values of the declared schema: whatever field a struct has, it is made from the field's type and range.

use cramplan::recipe::schema::{FieldInfo, Range, RecordInfo, TypeInfo};

use super::draw::Draw;

/// A value of the schema.
#[derive(Clone, Debug)]
pub enum Node {
    Count(u64),
    Real(f64),
    /// The name of a type that wraps one number, and the number.
    Wrapped(&'static str, Box<Node>),
    Text(String),
    Flag(bool),
    Pair(f64, f64),
    /// A variant that is written alone.
    Unit(&'static str),
    List(Vec<Node>),
    /// A struct, or, where the name must be written, a variant.
    Record {
        name: &'static str,
        is_variant: bool,
        fields: Vec<(&'static str, Node)>,
    },
    /// A field that may be left out, and is.
    Absent,
    /// A field that may be left out, and is not.
    Present(Box<Node>),
}

/// Whether the `ron` crate reads types that wrap a number by their names, or reads the bare number (`unwrap_newtypes`; it cannot do both).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newtypes {
    Named,
    Bare,
}

/// A struct with all its fields.
pub fn record(info: &'static RecordInfo, is_variant: bool, newtypes: Newtypes, draw: &mut Draw) -> Node {
    let fields = info.fields.iter().map(|f| (f.name, field(f, newtypes, draw))).collect();
    Node::Record { name: info.name, is_variant, fields }
}

fn field(info: &'static FieldInfo, newtypes: Newtypes, draw: &mut Draw) -> Node {
    let wanted = (info.ty)();
    // A bare number is no duration in a recipe, so with `unwrap_newtypes` such fields cannot be given at all.
    let is_unwritable = matches!(wanted, TypeInfo::Duration | TypeInfo::Size | TypeInfo::Work) && newtypes == Newtypes::Bare;
    assert!(info.optional || !is_unwritable, "`{}` must be given, and cannot be with `unwrap_newtypes`", info.name);
    if info.optional && (is_unwritable || draw.chance(40)) {
        return Node::Absent;
    }
    let node = value(&wanted, info.range.as_ref(), newtypes, draw);
    if info.optional { Node::Present(Box::new(node)) } else { node }
}

fn value(wanted: &TypeInfo, range: Option<&Range>, newtypes: Newtypes, draw: &mut Draw) -> Node {
    let share = |x: f64| match newtypes {
        Newtypes::Named => Node::Wrapped("Ratio", Box::new(Node::Real(x))),
        Newtypes::Bare => Node::Real(x),
    };
    let wrapped = |name, inner| Node::Wrapped(name, Box::new(inner));
    match wanted {
        TypeInfo::Count => Node::Count(count(range, draw)),
        TypeInfo::Real => Node::Real(real(range, draw)),
        TypeInfo::Share => share(real(range, draw)),
        TypeInfo::Duration => wrapped("Seconds", Node::Real(real(range, draw))),
        TypeInfo::Size => wrapped("Bytes", Node::Count(count(range, draw))),
        TypeInfo::Work => wrapped("Flops", Node::Count(count(range, draw))),
        TypeInfo::Text => Node::Text(text(draw)),
        TypeInfo::Flag => Node::Flag(draw.chance(50)),
        TypeInfo::Pair => Node::Pair(real(range, draw), real(range, draw)),
        TypeInfo::Interval => match draw.below(3) {
            0 => wrapped("Share", share(real(Some(&Range::above(0.0, 1.0)), draw))),
            1 if newtypes == Newtypes::Named => {
                wrapped("Time", wrapped("Seconds", Node::Real(real(Some(&Range::above(0.0, 1e9)), draw))))
            }
            _ => wrapped("Steps", Node::Count(count(Some(&Range::closed(1.0, 1e15)), draw))),
        },
        TypeInfo::Portion => match draw.below(4) {
            0 => wrapped("Share", share(real(range, draw))),
            1 if newtypes == Newtypes::Named => {
                wrapped("Time", wrapped("Seconds", Node::Real(real(Some(&Range::above(0.0, 1e9)), draw))))
            }
            2 => wrapped("Tokens", Node::Count(count(Some(&Range::closed(1.0, 1e18)), draw))),
            _ => wrapped("Steps", Node::Count(count(Some(&Range::closed(1.0, 1e15)), draw))),
        },
        TypeInfo::AutoCount if draw.chance(50) => Node::Unit("Auto"),
        TypeInfo::AutoCount => wrapped("Fixed", Node::Count(count(range, draw))),
        TypeInfo::List(item) => {
            let length = draw.below(4);
            Node::List((0..length).map(|_| value(&item(), range, newtypes, draw)).collect())
        }
        TypeInfo::Record(info) => record(info, false, newtypes, draw),
        TypeInfo::Choice(info) => {
            let at = draw.below(info.variants.len());
            record(&info.variants[at], true, newtypes, draw)
        }
    }
}

/// A whole number of a range; of many magnitudes, and often small.
fn count(range: Option<&Range>, draw: &mut Draw) -> u64 {
    let candidates = |draw: &mut Draw| match draw.below(3) {
        0 => draw.below(10) as u64,
        _ => draw.bits() >> (4 + draw.below(60)),
    };
    (0..10_000)
        .map(|_| candidates(draw))
        .find(|n| range.is_none_or(|range| range.contains(*n as f64)))
        .expect("a range of counts")
}

/// A number of a range; of many magnitudes, and often a short one.
fn real(range: Option<&Range>, draw: &mut Draw) -> f64 {
    let candidates = |draw: &mut Draw| match draw.below(4) {
        0 => draw.below(100) as f64 / 100.0,
        1 => draw.below(1000) as f64,
        2 => (draw.bits() >> 11) as f64 / (1_u64 << 53) as f64,
        _ => (draw.bits() >> 11) as f64 * 10_f64.powi(draw.below(60) as i32 - 55),
    };
    (0..10_000).map(|_| candidates(draw)).find(|x| range.is_none_or(|range| range.contains(*x))).expect("a range of numbers")
}

/// A text with whatever is hard to write.
fn text(draw: &mut Draw) -> String {
    const CHARS: [char; 24] = [
        'a',
        'B',
        '9',
        '-',
        '_',
        '.',
        ' ',
        '"',
        '\\',
        '\'',
        '\n',
        '\t',
        '\r',
        '\0',
        '\u{7f}',
        'ä',
        '数',
        '\u{1f600}',
        '#',
        '/',
        '*',
        '(',
        '%',
        '\u{feff}',
    ];
    let plain = draw.chance(50);
    (0..draw.below(9)).map(|_| CHARS[draw.below(if plain { 6 } else { CHARS.len() })]).collect()
}
