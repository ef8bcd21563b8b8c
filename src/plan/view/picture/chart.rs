//! The chart: live memory over the walks of a step and an evaluation, stacked by part, with passes and blocks under it.
//!
//! A column of two pixels shows the highest moment within it, so that no peak is lost, however short.

use std::fmt::Write as _;

use super::canvas::{Anchor, Canvas, Font, number, shorten, width};
use super::scale::Scale;
use super::{STACK, fill, heading, ink};
use crate::check::Costed;
use crate::plan::view::profile::{Moment, Profile};
use crate::step::Walk;
use crate::step::graph::{Pass, Place};
use crate::step::lifetime::Bill;
use crate::step::tensor::Part;

/// Top of the scale.
pub const TOP: f64 = 156.0;
/// Zero bytes.
pub const BOTTOM: f64 = 456.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 716.0;
/// Between two walks.
const GAP: f64 = 10.0;
/// Width of a column.
const COLUMN: f64 = 2.0;
/// A walk is not narrower than its title.
const NARROWEST: f64 = 88.0;

/// A walk with its place in the chart.
struct Segment<'a> {
    profile: &'a Profile<'a>,
    left: f64,
    width: f64,
    /// For each column, its highest moment.
    columns: Vec<usize>,
}

impl Segment<'_> {
    /// The pixel of a time of the walk.
    fn x(&self, seconds: f64) -> f64 {
        self.left + self.width * seconds / self.profile.time().0.max(f64::MIN_POSITIVE)
    }

    fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.columns.iter().map(|i| &self.profile.moments[*i])
    }
}

/// Draws the chart.
pub fn draw(canvas: &mut Canvas, costed: &Costed, profiles: &[Profile<'_>], scale: &Scale) {
    let e = &costed.estimate;
    let step = format!("Live memory over a step of {} × micro-batch {}, and over an evaluation", e.accumulation, e.micro_batch);
    heading(canvas, (super::MARGIN, 112.0), &step);
    let segments = segments(profiles);
    axis(canvas, scale);
    for (y, what) in [(18.5, "pass"), (36.0, "block")] {
        canvas.text((LEFT - 8.0, BOTTOM + y), what, Font { anchor: Anchor::End, ..Font::plain(11.5) });
    }
    for segment in &segments {
        for (i, part) in STACK.iter().enumerate().rev() {
            canvas.area(&silhouette(segment, scale, i), fill(*part), part.name());
        }
        titles(canvas, costed, segment);
        strips(canvas, segment);
    }
    part_labels(canvas, &segments, scale);
    limit(canvas, costed, scale);
    peak(canvas, costed, &segments, scale);
}

fn segments<'a>(profiles: &'a [Profile<'a>]) -> Vec<Segment<'a>> {
    let room = RIGHT - LEFT - GAP * (profiles.len() - 1) as f64;
    let times: Vec<f64> = profiles.iter().map(|profile| profile.time().0).collect();
    let widths = widths(&times, room);
    let mut left = LEFT;
    let mut segments = Vec::new();
    for (profile, width) in profiles.iter().zip(widths) {
        segments.push(Segment { profile, left, width, columns: columns(profile, width) });
        left += width + GAP;
    }
    segments
}

/// Widths in proportion to the times, but none below the narrowest: whole pixels that sum to the room at most.
fn widths(times: &[f64], room: f64) -> Vec<f64> {
    let mut narrow = vec![false; times.len()];
    loop {
        let fixed = narrow.iter().filter(|n| **n).count() as f64 * NARROWEST;
        let rest: f64 = times.iter().zip(&narrow).filter(|(_, narrow)| !**narrow).map(|(time, _)| *time).sum();
        let width = |time: f64| (room - fixed) * time / rest.max(f64::MIN_POSITIVE);
        let too_narrow = |i: usize| !narrow[i] && width(times[i]) < NARROWEST;
        match (0..times.len()).find(|i| too_narrow(*i)) {
            Some(i) => narrow[i] = true,
            None => return times.iter().zip(&narrow).map(|(t, n)| if *n { NARROWEST } else { width(*t).floor() }).collect(),
        }
    }
}

/// For each column the highest of the moments that reach into it.
fn columns(profile: &Profile<'_>, width: f64) -> Vec<usize> {
    let count = (width / COLUMN).max(1.0) as usize;
    let mut columns: Vec<Option<usize>> = vec![None; count];
    let time = profile.time().0.max(f64::MIN_POSITIVE);
    let total = |i: usize| profile.moments[i].during.total();
    for (i, moment) in profile.moments.iter().enumerate() {
        let column = |seconds: f64| ((seconds / time * count as f64) as usize).min(count - 1);
        let end = column((moment.start + moment.time).0 * (1.0 - 1e-12));
        for column in &mut columns[column(moment.start.0)..=end] {
            if column.is_none_or(|best| total(i) > total(best)) {
                *column = Some(i);
            }
        }
    }
    columns.into_iter().map(|i| i.unwrap_or(0)).collect()
}

/// Bytes of the lowest `parts` parts of the stack.
fn stacked(bill: &Bill, parts: usize) -> f64 {
    STACK.iter().take(parts).map(|part| bill.part(*part).as_f64()).sum()
}

/// The outline of the stack up to part `i`, down to zero: parts above are painted before and show beyond it.
fn silhouette(segment: &Segment<'_>, scale: &Scale, i: usize) -> String {
    let zero = number(scale.y(0.0));
    let mut path = format!("M{} {zero}", number(segment.left));
    let mut last = String::new();
    let step = segment.width / segment.columns.len() as f64;
    for (c, moment) in segment.moments().enumerate() {
        let y = number(scale.y(stacked(&moment.during, i + 1)));
        if y != last {
            let _ = write!(path, "H{}V{y}", number(segment.left + c as f64 * step));
            last = y;
        }
    }
    let _ = write!(path, "H{}V{zero}Z", number(segment.left + segment.width));
    path
}

fn axis(canvas: &mut Canvas, scale: &Scale) {
    for (bytes, label) in scale.ticks() {
        let y = scale.y(bytes);
        canvas.line((LEFT - 4.0, y), (RIGHT, y), ("#d0d0d0", 0.8), false);
        canvas.text((LEFT - 8.0, y + 4.0), &label, Font { anchor: Anchor::End, ..Font::plain(12.0) });
    }
}

fn titles(canvas: &mut Canvas, costed: &Costed, segment: &Segment<'_>) {
    let e = &costed.estimate;
    let walk = segment.profile.walk;
    let time = segment.profile.time();
    let times = match walk {
        Walk::First | Walk::Update => 1,
        Walk::Further => e.accumulation - 1,
        Walk::Evaluate => costed.recipe.evaluation.sequences.div_ceil(e.micro_batch),
    };
    let text = if times == 1 { time.to_string() } else { format!("{time} × {times}") };
    canvas.text((segment.left, 132.0), &shorten(walk.name(), 18), Font::bold(12.0));
    canvas.text((segment.left, 147.0), &text, Font::plain(12.0));
}

/// Runs of moments that are alike, with their times.
fn runs<K: PartialEq>(profile: &Profile<'_>, key: impl Fn(&Moment) -> K) -> Vec<(K, f64, f64)> {
    let mut runs: Vec<(K, f64, f64)> = Vec::new();
    for moment in &profile.moments {
        let end = (moment.start + moment.time).0;
        match runs.last_mut() {
            Some((last, _, until)) if *last == key(moment) => *until = end,
            _ => runs.push((key(moment), moment.start.0, end)),
        }
    }
    runs
}

/// The pass of a moment; what is computed again belongs to backward.
fn pass(moment: &Moment) -> Pass {
    if moment.pass == Pass::Recompute { Pass::Backward } else { moment.pass }
}

/// Passes, and under them the places in the model, along the time axis.
fn strips(canvas: &mut Canvas, segment: &Segment<'_>) {
    let centred = |size| Font { anchor: Anchor::Middle, ..Font::plain(size) };
    let again = segment.profile.moments.iter().any(|moment| moment.pass == Pass::Recompute);
    for (pass, start, end) in runs(segment.profile, pass) {
        let (left, right) = (segment.x(start), segment.x(end));
        let (fill, ink) = if pass == Pass::Forward { ("#e4e4e4", "#000000") } else { ("#5a5a5a", "#ffffff") };
        canvas.rect((left, BOTTOM + 6.0), (right - left, 17.0), fill, Some("#ffffff"));
        let name = if again && pass == Pass::Backward { "backward and recompute" } else { pass.name() };
        let name = if right - left > width(name, 11.5) { name } else { pass.name() };
        if right - left > width(name, 11.5) {
            canvas.text((left.midpoint(right), BOTTOM + 18.5), name, Font { fill: ink, ..centred(11.5) });
        }
    }
    let place = |moment: &Moment| if let Place::Parameter(_) = moment.place { None } else { Some(moment.place) };
    let places = runs(segment.profile, |moment| (pass(moment), place(moment)));
    let blocks = |pass: Pass| -> Vec<f64> {
        let blocks = places.iter().filter(|((p, place), ..)| *p == pass && matches!(place, Some(Place::Block(_))));
        blocks.map(|(_, start, end)| segment.x(*end) - segment.x(*start)).collect()
    };
    let edges = |(_, start, end): &(_, f64, f64)| (segment.x(*start), segment.x(*end));
    for run in &places {
        let (left, right) = edges(run);
        canvas.rect((left, BOTTOM + 25.0), (right - left, 15.0), shade(run.0.1), Some("#ffffff"));
    }
    // After all of them: a number may be wider than its block.
    for run in &places {
        let ((pass, place), (left, right)) = (run.0, edges(run));
        let text = short(place);
        let fits = if let Some(Place::Block(block)) = place {
            block % stride(&blocks(pass)) == 0
        } else {
            right - left > width(&text, 10.0)
        };
        if fits {
            canvas.text((left.midpoint(right), BOTTOM + 36.0), &text, centred(9.5));
        }
    }
    let (left, right) = (segment.left, segment.left + segment.width);
    canvas.line((left, BOTTOM), (right, BOTTOM), ("#000000", 1.0), false);
}

/// Every how many blocks of these widths there is room for a number.
fn stride(widths: &[f64]) -> u64 {
    let mean = widths.iter().sum::<f64>() / widths.len().max(1) as f64;
    let wanted = width(&widths.len().to_string(), 9.5) + 2.0;
    [1, 2, 5, 10, 20, 50, 100, 200].into_iter().find(|stride| mean * *stride as f64 >= wanted).unwrap_or(500)
}

fn shade(place: Option<Place>) -> &'static str {
    match place {
        Some(Place::Block(block)) if block % 2 == 1 => "#cfcfcf",
        _ => "#e9e9e9",
    }
}

/// A place in a few characters: blocks by their numbers.
fn short(place: Option<Place>) -> String {
    match place {
        Some(Place::Block(block)) => block.to_string(),
        Some(Place::Embedding) => "emb".to_owned(),
        Some(place @ (Place::Head | Place::GlobalNorm)) => place.to_string(),
        Some(Place::Parameter(_)) | None => "parameters".to_owned(),
    }
}

/// The name of each part where there is most room for it.
fn part_labels(canvas: &mut Canvas, segments: &[Segment<'_>], scale: &Scale) {
    for (i, part) in STACK.iter().enumerate() {
        let wanted = width(part.name(), 12.0);
        let rooms = segments.iter().filter_map(|segment| roomiest(segment, scale, i, wanted));
        let Some(room) = rooms.max_by(|a, b| a.score.total_cmp(&b.score)) else { continue };
        let size = if room.height >= 16.0 { 12.0 } else { 10.5 };
        if room.height >= 11.0 {
            let rim = *part == Part::Workspace;
            let font = Font { anchor: Anchor::Middle, fill: ink(*part), rim, ..Font::bold(size) };
            canvas.text((room.x, room.y + size * 0.36), part.name(), font);
        }
    }
}

/// Room for a text within a part of the stack.
struct Room {
    x: f64,
    y: f64,
    height: f64,
    score: f64,
}

/// Where a text of some width has room within part `i` of a walk: high enough, and then near the middle of a wide walk.
fn roomiest(segment: &Segment<'_>, scale: &Scale, i: usize, wanted: f64) -> Option<Room> {
    let column = segment.width / segment.columns.len() as f64;
    let edges: Vec<(f64, f64)> =
        segment.moments().map(|m| (scale.y(stacked(&m.during, i + 1)), scale.y(stacked(&m.during, i)))).collect();
    let room = |(c, window): (usize, &[(f64, f64)])| {
        let top = window.iter().map(|edge| edge.0).fold(f64::MIN, f64::max);
        let bottom = window.iter().map(|edge| edge.1).fold(f64::MAX, f64::min);
        let x = segment.left + (c as f64 + window.len() as f64 / 2.0) * column;
        let off = (x - segment.left - segment.width / 2.0).abs();
        Room { x, y: top.midpoint(bottom), height: bottom - top, score: (bottom - top).min(24.0) + (segment.width - off) * 1e-3 }
    };
    let window = ((wanted + 6.0) / column) as usize + 1;
    edges.windows(window).enumerate().map(room).max_by(|a, b| a.score.total_cmp(&b.score))
}

/// The limit: a line on the scale, or a note above a broken axis.
fn limit(canvas: &mut Canvas, costed: &Costed, scale: &Scale) {
    let e = &costed.estimate;
    let limit = e.limit.as_f64();
    let font = Font { anchor: Anchor::End, rim: true, ..Font::bold(12.0) };
    if scale.limit_is_on {
        let y = scale.y(limit);
        canvas.line((LEFT, y), (RIGHT, y), ("#ffffff", 4.0), false);
        canvas.line((LEFT, y), (RIGHT, y), ("#000000", 1.8), true);
        canvas.text((RIGHT - 2.0, y - 6.0), &format!("limit {}", e.limit), font);
        return;
    }
    let y = TOP + 2.0;
    canvas.line((LEFT, y), (RIGHT, y), ("#000000", 1.8), true);
    // The axis is broken: two short strokes.
    for dy in [7.0, 11.0] {
        canvas.line((LEFT - 9.0, y + dy + 3.0), (LEFT + 1.0, y + dy - 3.0), ("#000000", 1.2), false);
    }
    let times = limit / e.peak.bytes.as_f64().max(1.0);
    canvas.text((RIGHT - 2.0, y + 15.0), &format!("limit {}, {times:.1} × the peak: off the scale", e.limit), font);
}

/// The peak: a dot, and a label above the stack.
fn peak(canvas: &mut Canvas, costed: &Costed, segments: &[Segment<'_>], scale: &Scale) {
    let peak = &costed.estimate.peak;
    let Some(segment) = segments.iter().find(|segment| Some(segment.profile.walk) == peak.walk) else { return };
    let Some(column) = segment.columns.iter().position(|i| *i == peak.index) else { return };
    let last = segment.columns.iter().rposition(|i| *i == peak.index).unwrap_or(column);
    let x = segment.left + (column as f64).midpoint(last as f64 + 1.0) * segment.width / segment.columns.len() as f64;
    let y = scale.y(peak.bytes.as_f64());
    let text = format!("peak {}: {}", peak.bytes, peak.operation);
    canvas.dot((x, y), 4.0);
    let half = width(&text, 12.5) / 2.0;
    let middle = x.clamp(LEFT + half, (RIGHT - half).max(LEFT + half));
    let font = Font { anchor: Anchor::Middle, rim: true, ..Font::bold(12.5) };
    canvas.text((middle, y - 10.0), &text, font);
}
