//! Memory over time as a picture (SVG): one step and an evaluation, who holds the peak, and the phases of the run.
//!
//! Colours are those of Okabe and Ito, "Color Universal Design" (2008), which people with any colour vision tell apart; neighbours in the
//! stack differ in lightness too, and what runs short of both is hatched, so that the picture can be printed in black.
//!
//! Invariant: plain SVG 1.1 without scripts, styles or fonts of its own; every text is escaped.

mod canvas;
mod chart;
mod phases;
mod scale;
mod who;

use self::canvas::{Anchor, Canvas, Font};
use self::scale::Scale;
use super::peak::{Explanation, explain};
use super::profile::Profile;
use crate::check::Costed;
use crate::step::Walk;
use crate::step::tensor::Part;
use crate::units::Bytes;

/// Width of the picture.
const WIDTH: f64 = 1000.0;
/// Left and right margin.
const MARGIN: f64 = 24.0;

/// The parts from the bottom of the stack to its top: what stays first, what comes and goes last.
const STACK: [Part; 6] = [Part::Process, Part::Weights, Part::Optimizer, Part::Gradients, Part::Activations, Part::Workspace];

/// The colour of a part.
fn colour(part: Part) -> &'static str {
    match part {
        Part::Process => "#999999",
        Part::Weights => "#0072b2",
        Part::Optimizer => "#8fd0f5",
        Part::Gradients => "#009e73",
        Part::Activations => "#f5c242",
        Part::Workspace => "#d55e00",
    }
}

/// What a part is filled with: its colour, hatched for the workspace.
fn fill(part: Part) -> &'static str {
    if part == Part::Workspace { "url(#hatch)" } else { colour(part) }
}

/// The colour of text on a part.
fn ink(part: Part) -> &'static str {
    if matches!(part, Part::Weights | Part::Gradients) { "#ffffff" } else { "#000000" }
}

/// Draws a costed recipe.
pub fn svg(costed: &Costed) -> String {
    let graphs = costed.graphs();
    let profiles: Vec<Profile<'_>> = walks(costed).map(|walk| Profile::of(costed, &graphs, walk)).collect();
    let explanation = explain(costed);
    let scale = Scale::of(costed.estimate.peak.bytes, costed.estimate.limit, (chart::TOP, chart::BOTTOM));
    let rows = phases::rows(costed, &graphs, &profiles);
    let height = phases::TOP + phases::height(rows.len()) + MARGIN;
    let mut canvas = Canvas::new(WIDTH, height);
    title(&mut canvas, costed, &explanation);
    legend(&mut canvas, costed);
    chart::draw(&mut canvas, costed, &profiles, &scale);
    who::draw(&mut canvas, &explanation);
    phases::draw(&mut canvas, costed, &rows);
    canvas.finish()
}

/// The walks that a step of the full batch and an evaluation make, and the one with the peak.
fn walks(costed: &Costed) -> impl Iterator<Item = Walk> {
    let e = &costed.estimate;
    let further = e.accumulation > 1 || e.peak.walk == Some(Walk::Further);
    Walk::ALL.into_iter().filter(move |walk| further || *walk != Walk::Further)
}

fn title(canvas: &mut Canvas, costed: &Costed, explanation: &Explanation) {
    let e = &costed.estimate;
    let share = e.peak.bytes.as_f64() / e.limit.as_f64().max(1.0) * 100.0;
    let verdict = if e.fits() { "fits" } else { "does not fit" };
    let head = format!(
        "{} on {}: {verdict} — {} at the peak, {share:.0} % of {}",
        costed.recipe.name, costed.device.name, e.peak.bytes, e.limit
    );
    canvas.description(&head);
    let room = WIDTH - 2.0 * MARGIN;
    canvas.text((MARGIN, 34.0), &head, Font::bold(canvas::fitting(&head, room / 1.12, 20.0)));
    let when = explanation
        .when
        .as_ref()
        .map_or(String::new(), |when| format!(", {} pass, {} into the {}", when.pass.name(), when.times.0, when.walk.name()));
    let line = format!("The peak: {}{when}. At that moment:", explanation.operation);
    canvas.text((MARGIN, 56.0), &line, Font::plain(canvas::fitting(&line, room, 12.5)));
}

/// Parts with what they take at the peak, in the order of the stack.
fn legend(canvas: &mut Canvas, costed: &Costed) {
    let of = |part| costed.estimate.peak.parts.iter().filter(|(p, _)| *p == part).map(|(_, bytes)| *bytes).sum::<Bytes>();
    let column = (WIDTH - 2.0 * MARGIN) / STACK.len() as f64;
    for (i, part) in STACK.into_iter().enumerate() {
        let x = MARGIN + column * i as f64;
        canvas.rect((x, 71.0), (13.0, 13.0), fill(part), Some("#333333"));
        canvas.text((x + 18.0, 82.0), &format!("{} {}", part.name(), of(part)), Font::plain(11.5));
    }
}

/// A heading of a section.
fn heading(canvas: &mut Canvas, at: (f64, f64), text: &str) {
    canvas.text(at, text, Font { anchor: Anchor::Start, ..Font::bold(14.0) });
}
