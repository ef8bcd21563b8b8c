//! The list beside the chart: who holds the peak.

use super::canvas::{Canvas, Font, fitting, shorten};
use super::{MARGIN, WIDTH, fill, heading};
use crate::plan::view::peak::Explanation;
use crate::units::Bytes;

const LEFT: f64 = 738.0;
const TOP: f64 = 132.0;
/// Height of an entry: its name, and under it a bar with its size.
const ENTRY: f64 = 34.0;
/// How many entries there is room for, the last of which is for all others.
const MOST: usize = 11;
/// The bar of the largest holder.
const BAR: f64 = 90.0;

/// Draws the list, largest first.
pub fn draw(canvas: &mut Canvas, explanation: &Explanation) {
    heading(canvas, (LEFT, 112.0), "Who holds the peak");
    let all = &explanation.holders;
    let shown = if all.len() > MOST { MOST - 1 } else { all.len() };
    let rest: Bytes = all[shown..].iter().map(|holder| holder.bytes).sum();
    let longest = all.first().map_or(Bytes::ZERO, |holder| holder.bytes).max(rest);
    let length = |bytes: Bytes| BAR * bytes.as_f64() / longest.as_f64().max(1.0);
    let mut y = TOP;
    for holder in &all[..shown] {
        let times = holder.times().map_or(String::new(), |times| format!(": {times}"));
        entry(canvas, y, &holder.what, (fill(holder.part), length(holder.bytes)), &format!("{}{times}", holder.bytes));
        y += ENTRY;
    }
    if rest > Bytes::ZERO {
        entry(canvas, y, &format!("{} others", all.len() - shown), ("#ffffff", length(rest)), &rest.to_string());
    }
}

fn entry(canvas: &mut Canvas, y: f64, what: &str, (fill, length): (&str, f64), size: &str) {
    let room = WIDTH - MARGIN - LEFT;
    canvas.text((LEFT, y), &shorten(what, 42), Font::plain(fitting(what, room, 12.0).max(9.5)));
    canvas.rect((LEFT, y + 5.5), (length, 10.0), fill, Some("#333333"));
    canvas.text((LEFT + length + 6.0, y + 14.5), size, Font { fill: "#333333", ..Font::plain(11.0) });
}
