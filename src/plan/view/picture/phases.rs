//! The phases of the run, a bar each: the highest memory in it by part, and how long it takes.

use super::canvas::{Anchor, Canvas, Font, shorten};
use super::scale::Scale;
use super::{MARGIN, STACK, WIDTH, fill, heading};
use crate::budget::saving;
use crate::check::Costed;
use crate::plan::view::profile::Profile;
use crate::plan::{Stage, Work, stages, title};
use crate::step::lifetime::Bill;
use crate::step::tensor::Part;
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Seconds};

/// Top of the section.
pub const TOP: f64 = 524.0;
const LEFT: f64 = 268.0;
const RIGHT: f64 = 792.0;
const ROW: f64 = 26.0;

/// A phase with its highest memory.
pub struct Row {
    title: String,
    time: Option<Seconds>,
    parts: Vec<(Part, Bytes)>,
}

impl Row {
    fn total(&self) -> Bytes {
        self.parts.iter().map(|(_, bytes)| *bytes).sum()
    }
}

/// Height of the section.
pub fn height(rows: usize) -> f64 {
    44.0 + ROW * rows as f64
}

/// The stages of the plan that use the device; those before the clock and those of one kind are one row.
pub fn rows(costed: &Costed, graphs: &StepGraphs, profiles: &[Profile<'_>]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for stage in stages(&costed.recipe, &costed.estimate).node_weights() {
        let Some(parts) = highest(costed, graphs, profiles, stage) else { continue };
        let title = name(stage, costed.estimate.micro_batch);
        match rows.iter_mut().find(|row| row.title == title) {
            Some(row) => row.time = row.time.zip(stage.time).map(|(a, b)| a + b),
            None => rows.push(Row { title, time: stage.time, parts }),
        }
    }
    rows
}

/// A stage in what matters to memory: the learning rate does not.
fn name(stage: &Stage, micro_batch: u64) -> String {
    let start = if stage.time.is_none() { "start: " } else { "" };
    match &stage.work {
        Work::Evaluation { .. } => format!("{start}evaluation"),
        Work::Checkpoint { .. } => format!("{start}saving a checkpoint"),
        Work::Phase { from, until, accumulation: (a, b), .. } => {
            let (a, b) = (a * micro_batch, b * micro_batch);
            let batch = if a == b { format!("{a}") } else { format!("{a} → {b}") };
            format!("training {:.0}–{:.0} %: batch {batch}", from.0 * 100.0, until.0 * 100.0)
        }
        work => title(work),
    }
}

fn highest(costed: &Costed, graphs: &StepGraphs, profiles: &[Profile<'_>], stage: &Stage) -> Option<Vec<(Part, Bytes)>> {
    let walks: &[Walk] = match &stage.work {
        Work::Evaluation { .. } => &[Walk::Evaluate],
        Work::Checkpoint { .. } => return Some(by_part(&saving(graphs, &costed.device))),
        Work::Phase { accumulation: (1, 1), .. } => &[Walk::First, Walk::Update],
        Work::Phase { .. } => &[Walk::First, Walk::Further, Walk::Update],
        Work::Corpus { .. } | Work::Tokenizer { .. } | Work::Shards { .. } => return None,
    };
    let here = profiles.iter().filter(|profile| walks.contains(&profile.walk));
    let bill = |profile: &Profile<'_>| profile.moments.get(profile.highest()).map(|moment| moment.during);
    here.filter_map(bill).max_by_key(Bill::total).map(|bill| by_part(&bill))
}

fn by_part(bill: &Bill) -> Vec<(Part, Bytes)> {
    Part::ALL.into_iter().map(|part| (part, bill.part(part))).collect()
}

/// Draws the section.
pub fn draw(canvas: &mut Canvas, costed: &Costed, rows: &[Row]) {
    heading(canvas, (MARGIN, TOP + 12.0), "Highest memory in each phase of the run");
    let e = &costed.estimate;
    let scale = Scale::of(e.peak.bytes, e.limit, (RIGHT, LEFT));
    let bottom = TOP + 26.0 + ROW * rows.len() as f64;
    for (bytes, label) in scale.ticks() {
        let x = scale.y(bytes);
        canvas.line((x, TOP + 22.0), (x, bottom), ("#d0d0d0", 0.8), false);
        canvas.text((x, bottom + 14.0), &label, Font { anchor: Anchor::Middle, ..Font::plain(11.5) });
    }
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + 26.0 + ROW * i as f64;
        canvas.text((MARGIN, y + 15.0), &shorten(&row.title, 38), Font::plain(12.0));
        let mut x = LEFT;
        for part in STACK {
            let bytes: Bytes = row.parts.iter().filter(|(p, _)| *p == part).map(|(_, bytes)| *bytes).sum();
            let width = scale.y(bytes.as_f64()) - scale.y(0.0);
            if bytes > Bytes::ZERO {
                canvas.rect((x, y + 3.0), (width, ROW - 8.0), fill(part), Some("#ffffff"));
            }
            x += width;
        }
        let time = row.time.map_or("before the clock".to_owned(), |time| time.to_string());
        let grey = Font { fill: "#333333", anchor: Anchor::End, ..Font::plain(11.0) };
        canvas.text((RIGHT + 8.0, y + 15.0), &row.total().to_string(), Font::bold(12.0));
        canvas.text((WIDTH - MARGIN, y + 15.0), &shorten(&time, 18), grey);
    }
    if scale.limit_is_on {
        let x = scale.y(e.limit.as_f64());
        canvas.line((x, TOP + 16.0), (x, bottom), ("#ffffff", 4.0), false);
        canvas.line((x, TOP + 16.0), (x, bottom), ("#000000", 1.8), true);
        canvas.text((x, TOP + 13.0), "limit", Font { anchor: Anchor::Middle, ..Font::bold(11.5) });
    }
}
