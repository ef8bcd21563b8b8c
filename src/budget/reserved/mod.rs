//! What a device takes for a training: the memory that its manager holds, beside what lives.
//!
//! On a card this is a replay of the training's reservations through the model of the manager ([`pool`](super::pool)): the state,
//! then rounds of a whole step and an evaluation until the manager ends a round just as it began it. From there on every round is
//! the same, so the highest number so far is the highest of the whole run.
//!
//! Exact, as far as the sequence is: [`Reserved::exact`] says where it is a bound. On the CPU see [`HOST`].

mod events;

pub use events::{Identities, Schedule};

use serde::{Deserialize, Serialize};

use super::pool::{Event, Manager, Properties, Refusal, Setting, Usage};
use crate::device::{Device, DeviceKind, Sourced, cuda};
use crate::step::{StepGraphs, Walk};
use crate::units::Bytes;

/// What is bounded on the CPU.
pub const HOST: &str = "the heap: bytes that the program has allocated and not freed. The process takes more: freed buffers stay \
     with it (`heap`), in pieces that may not fit the next request, so its resident size is not bounded by the \
     heap; a control group's limit is on the process";

/// Rounds that are replayed at most. A sequence that overwrites in place repeats from the second on.
const ROUNDS: u32 = 12;

/// Further micro-steps that are replayed at most in a step; they end earlier where one leaves the manager as it was.
const FURTHER: u32 = 3;

/// What a replay saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The highest of each number.
    pub peak: Usage,
    /// After how many rounds nothing new happened; none where that was not seen.
    pub rounds: Option<u32>,
    /// How often everything unused went back because the driver refused.
    pub reclaims: u64,
    /// How often live memory was to be moved.
    pub relocations: u64,
    /// What could not be had, and in which walk; no walk for the state.
    pub refused: Option<(Option<Walk>, Refusal)>,
}

/// A replay under way.
struct Run<'a> {
    schedule: &'a Schedule,
    manager: Manager,
    peak: Usage,
    /// It ends where more than this is held.
    enough: u64,
}

/// Why a replay ends before it repeats.
enum End {
    Refused(Option<Walk>, Refusal),
    Enough,
}

/// Replays a schedule until it repeats. `accumulates` says whether some step has further micro-steps.
pub fn replay(schedule: &Schedule, properties: Properties, setting: Setting, accumulates: bool) -> Replay {
    replay_to(schedule, properties, setting, accumulates, u64::MAX)
}

/// The same, ended where more than `enough` bytes are held.
fn replay_to(schedule: &Schedule, properties: Properties, setting: Setting, accumulates: bool, enough: u64) -> Replay {
    let mut run = Run { schedule, manager: Manager::new(properties, setting), peak: Usage::default(), enough };
    let (rounds, refused) = match run.rounds(accumulates) {
        Ok(rounds) => (rounds, None),
        Err(End::Refused(walk, why)) => (None, Some((walk, why))),
        Err(End::Enough) => (None, None),
    };
    let Run { manager, peak, .. } = run;
    Replay { peak, rounds, reclaims: manager.reclaims(), relocations: manager.relocations(), refused }
}

impl Run<'_> {
    fn rounds(&mut self, accumulates: bool) -> Result<Option<u32>, End> {
        self.events(None)?;
        let mut before = Vec::new();
        for round in 1..=ROUNDS {
            self.step(accumulates)?;
            let now = self.manager.layout();
            if now == before {
                return Ok(Some(round - 1));
            }
            before = now;
        }
        Ok(None)
    }

    /// A step with an evaluation after it.
    fn step(&mut self, accumulates: bool) -> Result<(), End> {
        self.events(Some(Walk::First))?;
        let mut before = Vec::new();
        for _ in 0..if accumulates { FURTHER } else { 0 } {
            self.events(Some(Walk::Further))?;
            let now = self.manager.layout();
            if now == before {
                break;
            }
            before = now;
        }
        self.events(Some(Walk::Update))?;
        self.events(Some(Walk::Evaluate))
    }

    fn events(&mut self, walk: Option<Walk>) -> Result<(), End> {
        let events = walk.map_or(&self.schedule.start, |walk| &self.schedule.walks[walk as usize]);
        for event in events {
            self.manager.apply(*event).map_err(|why| End::Refused(walk, why))?;
            self.peak = self.peak.max(self.manager.usage());
            if self.peak.held > self.enough {
                return Err(End::Enough);
            }
        }
        Ok(())
    }
}

/// Whether the reservations of a training can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Everything is had at the first try.
    Fits,
    /// Everything is had, but the driver refuses now and then, and everything unused goes back first: a step waits for that.
    Tight {
        /// How often, in the rounds until the steps repeat.
        reclaims: u64,
    },
    /// Something cannot be had.
    Refused {
        /// In which walk; none while the state is made.
        walk: Option<Walk>,
        /// What.
        why: Refusal,
    },
}

/// Memory beside the manager's pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What it is.
    pub what: String,
    /// How much, and where that is from.
    pub bytes: Sourced<Bytes>,
}

/// What a card takes for a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reserved {
    /// The most that lives at once, as the manager counts it, padding included.
    pub in_use: Bytes,
    /// The most that the manager reports as reserved.
    pub reserved: Bytes,
    /// The most that is taken from the driver, for any amount that it has.
    pub held: Bytes,
    /// What is taken beside that.
    pub beside: Vec<Line>,
    /// Whether it can be had.
    pub verdict: Verdict,
    /// Rounds until the steps repeat; none where that was not seen, so that a later round may take more.
    pub rounds: Option<u32>,
    /// Whether the numbers follow from the sequence alone: the steps repeat, and memory never gets so short that live memory is
    /// moved when a queue happens to be empty. Where not, they are the larger of moving everything and moving nothing.
    pub exact: bool,
    /// Where the numbers come from.
    pub source: String,
}

impl Reserved {
    /// All that is taken.
    pub fn total(&self) -> Bytes {
        self.held + self.beside()
    }

    /// Whether all of it lies within a limit. A program that is short of memory may still go on by giving unused pages back, over and over; but
    /// how it would fare then depends on the limit in no orderly way, and it waits for the device each time. That is not called fitting.
    pub fn fits(&self, limit: Bytes) -> bool {
        self.total() <= limit && !matches!(self.verdict, Verdict::Refused { .. })
    }

    /// What is taken beside the manager's pages.
    pub fn beside(&self) -> Bytes {
        self.beside.iter().map(|line| line.bytes.value).sum()
    }
}

/// What a card takes beside the manager's pages.
pub fn beside() -> Vec<Line> {
    let line = |what: &str, bytes, source: &str| Line { what: what.to_owned(), bytes: Sourced::new(bytes, source) };
    vec![
        line("CUDA context", cuda::CONTEXT, cuda::CONTEXT_SOURCE),
        line("kernels", cuda::KERNELS, cuda::KERNELS_SOURCE),
        line("arguments of kernels", cuda::METADATA, "cubecl-server 0.11.3, `metadata_cache.rs`: at most 4096 entries of 2 KiB"),
    ]
}

/// The most that a card's manager gives in one piece; none on a CPU.
pub fn largest_reservation(device: &Device) -> Option<Bytes> {
    let card = matches!(device.kind, DeviceKind::Cuda | DeviceKind::Rocm);
    card.then(|| Bytes(Properties::cuda(device.memory.value).max_page))
}

/// What the graphs of a training take on a card, and what becomes of it where only `limit` may be used; none for a CPU ([`HOST`]).
/// `accumulates` says whether some step has more than one micro-step.
pub fn reserved(graphs: &StepGraphs, device: &Device, limit: Option<Bytes>, accumulates: bool) -> Option<Reserved> {
    match device.kind {
        DeviceKind::Cuda | DeviceKind::Rocm => {
            Some(of_schedule(&Schedule::of(graphs).primed(), device.memory.value, limit, accumulates))
        }
        DeviceKind::Cpu { .. } => None,
    }
}

/// What the graphs of a training take on a card, where that lies within `limit`, and none where it does not: the replay ends as soon as that is
/// clear. `update` keeps the events of the update, for the next plan of the same recipe.
pub fn reserved_within(
    graphs: &StepGraphs,
    device: &Device,
    limit: Bytes,
    accumulates: bool,
    update: &mut Option<Vec<Event>>,
) -> Option<Reserved> {
    let mut schedule = Schedule::with_update(graphs, update.as_deref()).primed();
    let room = limit.saturating_sub(beside().iter().map(|line| line.bytes.value).sum()).0;
    let setting = |relocates| Setting { limit: None, relocates };
    let replay = |relocates| replay_to(&schedule, Properties::cuda(device.memory.value), setting(relocates), accumulates, room);
    let seen = worse(replay);
    let reserved = of_replay(&seen, Verdict::Fits);
    *update = Some(std::mem::take(&mut schedule.walks[Walk::Update as usize]));
    (seen.refused.is_none() && reserved.fits(limit)).then_some(reserved)
}

/// What a schedule takes on a card with `total` bytes, and what becomes of it where only `limit` may be used.
pub fn of_schedule(schedule: &Schedule, total: Bytes, limit: Option<Bytes>, accumulates: bool) -> Reserved {
    let room = limit.unwrap_or(Bytes(u64::MAX)).saturating_sub(beside().iter().map(|line| line.bytes.value).sum());
    let both = |limit| worse(|relocates| replay(schedule, Properties::cuda(total), Setting { limit, relocates }, accumulates));
    let free = both(None);
    let verdict = match free.refused {
        Some((walk, why)) => Verdict::Refused { walk, why },
        None if free.peak.held <= room.0 => Verdict::Fits,
        None => under(&both(Some(room.0))),
    };
    of_replay(&free, verdict)
}

fn of_replay(free: &Replay, verdict: Verdict) -> Reserved {
    Reserved {
        in_use: Bytes(free.peak.in_use + free.peak.padding),
        reserved: Bytes(free.peak.reserved),
        held: Bytes(free.peak.held),
        beside: beside(),
        verdict,
        rounds: free.rounds,
        exact: free.rounds.is_some() && free.relocations == 0,
        source: "replay through a model of cubecl 0.11.3's memory manager".to_owned(),
    }
}

fn under(limited: &Replay) -> Verdict {
    match limited.refused {
        Some((walk, why)) => Verdict::Refused { walk, why },
        None if limited.reclaims == 0 => Verdict::Fits,
        None => Verdict::Tight { reclaims: limited.reclaims },
    }
}

/// The worse of moving whatever can be moved and moving nothing; the same where it never comes to that.
fn worse(replay: impl Fn(bool) -> Replay) -> Replay {
    let moving = replay(true);
    if moving.relocations == 0 {
        return moving;
    }
    let staying = replay(false);
    Replay {
        peak: moving.peak.max(staying.peak),
        rounds: moving.rounds.zip(staying.rounds).map(|(a, b)| a.max(b)),
        reclaims: moving.reclaims.max(staying.reclaims),
        relocations: moving.relocations.max(staying.relocations),
        refused: moving.refused.or(staying.refused),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::recipe::testing;
    use crate::step::lifetime::{Bill, Lifetimes, timeline};
    use crate::step::op::Backend;
    use crate::step::plain;
    use crate::step::recompute::Recompute;

    fn crammed(batch: u64) -> StepGraphs {
        StepGraphs::build(&testing::parse(include_str!("../../../recipes/crammed-bert.ron")), batch, Recompute::NOTHING)
    }

    /// The manager beside what rounding up to 512 bytes has added to each reservation.
    struct Exact {
        manager: Manager,
        rounding: BTreeMap<u32, u64>,
    }

    impl Exact {
        /// What is in use after an event without what rounding adds. `bytes` is what a reservation is for.
        fn apply(&mut self, event: Event, bytes: Bytes) -> u64 {
            self.manager.apply(event).unwrap();
            let added = match event {
                Event::Reserve { id, bytes: rounded } => Some((id, rounded - bytes.0)),
                Event::Free { id } => self.rounding.remove(&id).and(None),
                Event::Rename { from, to } => self.rounding.remove(&from).map(|added| (to, added)),
            };
            assert!(added.is_none_or(|(_, added)| added < crate::budget::pool::cuda::ALIGNMENT), "{event:?} for {bytes:?}");
            self.rounding.extend(added);
            self.manager.usage().in_use - self.rounding.values().sum::<u64>()
        }
    }

    /// What the events leave in use is what the timeline says, at the highest moment of every operation and after it, exactly but
    /// for the rounding to 512 bytes.
    #[test]
    fn the_events_of_a_walk_are_its_timeline() {
        let graphs = crammed(4);
        let schedule = Schedule::of(&graphs);
        let device = crate::device::find("rtx-a6000").unwrap();
        let manager = Manager::new(Properties::cuda(Bytes::gib(400)), Setting { limit: None, relocates: true });
        let mut exact = Exact { manager, rounding: BTreeMap::new() };
        let of_parameters: Vec<u64> = graphs.parameters.iter().map(|(_, p)| p.elements()).collect();
        let table = graphs.extents.sequence * graphs.extents.width;
        let state = of_parameters.repeat(3).into_iter().chain([table]);
        assert_eq!(schedule.start.len(), 3 * of_parameters.len() + 1);
        let mut now = schedule.start.iter().zip(state).fold(0, |_, (event, elements)| exact.apply(*event, Bytes(4 * elements)));
        for walk in Walk::ALL {
            let graph = graphs.walk(walk);
            let lifetimes = Lifetimes::of(graph);
            let ambient = crate::budget::ambient(&graphs, &device, walk);
            let instants = timeline(graph, &lifetimes, Backend::Plain, ambient);
            let planned = |bill: Bill| bill.total().0 - device.overhead.value.0;
            // The gradients of the step before are gone by the update.
            let dropped = if walk == Walk::First { of_parameters.len() } else { 0 };
            let mut events = schedule.walks[walk as usize].iter().copied().skip(dropped);
            let mut highest = now;
            for change in plain::allocations(graph, &lifetimes) {
                match change {
                    plain::Event::Take { bytes, .. } => now = exact.apply(events.next().unwrap(), bytes),
                    plain::Event::Give { .. } => now = exact.apply(events.next().unwrap(), Bytes::ZERO),
                    plain::Event::Done(i) => {
                        assert_eq!((highest, now), (planned(instants[i].during), planned(instants[i].after)), "{walk:?} {i}");
                        highest = now;
                    }
                    plain::Event::Given { .. } | plain::Event::Kept { .. } => {}
                }
                highest = highest.max(now);
            }
            // Renamed is what becomes state, dropped what is read.
            now = events.fold(now, |_, event| exact.apply(event, Bytes::ZERO));
        }
    }

    #[test]
    fn a_training_repeats_and_takes_more_than_lives() {
        let seen = of_schedule(&Schedule::of(&crammed(8)), Bytes::gib(48), None, true);
        assert!(seen.exact && seen.rounds.is_some_and(|rounds| rounds < ROUNDS), "{seen:?}");
        assert!(seen.in_use <= seen.reserved && seen.reserved <= seen.held, "{seen:?}");
        assert_eq!(seen.verdict, Verdict::Fits);
    }

    #[test]
    fn a_training_that_begins_with_its_largest_reservation_leaves_no_old_pages() {
        let schedule = Schedule::of(&crammed(32));
        let seen = |schedule: &Schedule| of_schedule(schedule, Bytes::gib(48), None, true);
        let (plain, primed) = (seen(&schedule), seen(&schedule.clone().primed()));
        assert_eq!(primed.held, primed.reserved);
        assert!(primed.held < plain.held && primed.in_use == plain.in_use, "{primed:?} {plain:?}");
    }

    #[test]
    fn less_than_the_training_holds_is_tight_or_refused() {
        let schedule = Schedule::of(&crammed(8));
        let verdict = |limit: Bytes| of_schedule(&schedule, Bytes::gib(11), Some(limit), true).verdict;
        let all = of_schedule(&schedule, Bytes::gib(11), None, true);
        assert_eq!(verdict(all.total()), Verdict::Fits);
        assert_ne!(verdict(all.total().saturating_sub(Bytes(1))), Verdict::Fits);
        assert!(matches!(verdict(all.beside() + all.in_use.saturating_sub(Bytes(1))), Verdict::Refused { .. }));
    }

    /// A tensor of more than a quarter of the card cannot be had, however much is free.
    #[test]
    fn one_tensor_is_at_most_a_quarter_of_the_card() {
        let mut schedule = Schedule::default();
        schedule.walks[Walk::First as usize] = vec![Event::Reserve { id: 0, bytes: 3 << 30 }, Event::Free { id: 0 }];
        let seen = of_schedule(&schedule, Bytes::gib(11), None, false);
        assert!(matches!(seen.verdict, Verdict::Refused { walk: Some(Walk::First), why: Refusal::TooLarge { .. } }), "{seen:?}");
    }

    /// What does not repeat is said: the last number is then no bound.
    #[test]
    fn a_leak_never_repeats() {
        let mut schedule = Schedule::default();
        let fresh = |i: u32| Event::Rename { from: i, to: i + 1 };
        let evaluation = (0..40).rev().map(fresh).chain([Event::Reserve { id: 0, bytes: 1 << 20 }]);
        schedule.walks[Walk::Evaluate as usize] = evaluation.collect();
        let seen = of_schedule(&schedule, Bytes::gib(11), None, false);
        assert_eq!((seen.rounds, seen.exact), (None, false));
    }
}
