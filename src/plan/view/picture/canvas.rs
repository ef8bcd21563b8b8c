//! SVG elements as text.

use std::fmt::Write as _;

/// Where a text stands to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// To the right of it.
    Start,
    /// Around it.
    Middle,
    /// To the left of it.
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub struct Font {
    /// Height in pixels.
    pub size: f64,
    /// Whether it is bold.
    pub bold: bool,
    /// Its colour.
    pub fill: &'static str,
    /// Where it stands.
    pub anchor: Anchor,
    /// Whether it has a white rim, for text on lines.
    pub rim: bool,
}

impl Font {
    /// Black, from its point on.
    pub fn plain(size: f64) -> Self {
        Self { size, bold: false, fill: "#000000", anchor: Anchor::Start, rim: false }
    }

    /// The same, bold.
    pub fn bold(size: f64) -> Self {
        Self { bold: true, ..Self::plain(size) }
    }
}

/// A picture in the making.
#[derive(Debug)]
pub struct Canvas {
    body: String,
    width: f64,
    height: f64,
    description: String,
}

impl Canvas {
    /// An empty picture.
    pub fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height, description: String::new() }
    }

    /// Says what the picture shows, for those who do not see it.
    pub fn description(&mut self, text: &str) {
        text.clone_into(&mut self.description);
    }

    /// A rectangle.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str, stroke: Option<&str>) {
        let stroke = stroke.map_or(String::new(), |stroke| format!(" stroke=\"{stroke}\" stroke-width=\"0.7\""));
        let (x, y, width, height) = (number(x), number(y), number(width.max(0.0)), number(height.max(0.0)));
        let _ = writeln!(self.body, r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{fill}"{stroke}/>"#);
    }

    /// A straight line; dashed where asked.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), (stroke, width): (&str, f64), dashed: bool) {
        let dash = if dashed { " stroke-dasharray=\"7 4\"" } else { "" };
        let (x1, y1, x2, y2) = (number(x1), number(y1), number(x2), number(y2));
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{stroke}" stroke-width="{width}"{dash}/>"#
        );
    }

    /// A filled path with a title that shows under the pointer.
    pub fn area(&mut self, path: &str, fill: &str, title: &str) {
        let title = escape(title);
        let _ = writeln!(self.body, r#"<path d="{path}" fill="{fill}"><title>{title}</title></path>"#);
    }

    /// A circle with a white edge.
    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64) {
        let (x, y) = (number(x), number(y));
        let _ = writeln!(
            self.body,
            r##"<circle cx="{x}" cy="{y}" r="{radius}" fill="#000000" stroke="#ffffff" stroke-width="1.5"/>"##
        );
    }

    /// A text on its baseline.
    pub fn text(&mut self, (x, y): (f64, f64), text: &str, font: Font) {
        let anchor = match font.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if font.bold { " font-weight=\"bold\"" } else { "" };
        let rim = if font.rim { " stroke=\"#ffffff\" stroke-width=\"3\" stroke-linejoin=\"round\"" } else { "" };
        let fill = if font.fill == "#000000" { String::new() } else { format!(" fill=\"{}\"", font.fill) };
        let (x, y, size, text) = (number(x), number(y), font.size, escape(text));
        if font.rim {
            // Not every program knows `paint-order`: the rim is a text of its own under the other.
            let _ = writeln!(self.body, r#"<text x="{x}" y="{y}" font-size="{size}"{weight}{anchor}{rim}>{text}</text>"#);
        }
        let _ = writeln!(self.body, r#"<text x="{x}" y="{y}" font-size="{size}"{weight}{anchor}{fill}>{text}</text>"#);
    }

    /// The whole picture.
    pub fn finish(self) -> String {
        let Self { body, width, height, description } = self;
        let (width, height) = (number(width), number(height));
        let family = "system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif";
        let description = escape(&description);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"{family}\" role=\"img\">\n<title>{description}</title>\n\
             <defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
             <rect width=\"6\" height=\"6\" fill=\"#d55e00\"/><path d=\"M-1 1L1 -1M0 6L6 0M5 7L7 5\" stroke=\"#ffffff\" stroke-width=\"1.3\"/>\
             </pattern></defs>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}

/// A coordinate with one decimal at most; what is no number becomes 0.
pub fn number(x: f64) -> String {
    let rounded = if x.is_finite() { (x * 10.0).round() / 10.0 } else { 0.0 };
    // No minus before a zero.
    format!("{}", rounded + 0.0)
}

/// Text with the signs of XML replaced, and without those that XML cannot hold.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// About how wide a text is: an upper bound for the usual fonts.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.58
}

/// The size at which a text is no wider than some pixels, `most` at most; a bold one takes a tenth more.
pub fn fitting(text: &str, pixels: f64, most: f64) -> f64 {
    let size = pixels / width(text, 1.0).max(1.0);
    ((size * 2.0).floor() / 2.0).min(most)
}

/// A text of at most so many characters.
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).collect::<String>() + "…" }
}
