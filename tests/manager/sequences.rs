//! The model against cubecl's manager: after every event of seeded random sequences all four numbers are equal.

use cramplan::budget::pool::{Event, Manager, Properties, Setting, Usage};
use manager::Real;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Deterministic random numbers (Marsaglia's xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// Sizes spread evenly over their logarithm.
    fn size(&mut self, most: u64) -> u64 {
        let bits = self.below(u64::from(most.ilog2()) + 1);
        (1 << bits) + self.below(1 << bits)
    }
}

/// Both managers side by side.
struct Pair {
    model: Manager,
    real: Real,
    events: u64,
    peak: Usage,
    refused: u64,
}

impl Pair {
    fn new(properties: Properties, setting: Setting) -> Self {
        let (model, real) = (Manager::new(properties, setting), Real::new(properties, setting));
        Self { model, real, events: 0, peak: Usage::default(), refused: 0 }
    }

    /// Does one thing in both; whether it could be done.
    fn apply(&mut self, event: Event, name: &str) -> bool {
        let done = self.model.apply(event);
        assert_eq!(done.is_ok(), self.real.apply(event), "{name}, event {}: {event:?}: {done:?}", self.events);
        self.compare(name, &format!("{event:?}"));
        self.refused += u64::from(done.is_err());
        done.is_ok()
    }

    fn free(&mut self, id: u32, name: &str) {
        self.apply(Event::Free { id }, name);
    }

    fn compare(&mut self, name: &str, what: &str) {
        assert_eq!(self.model.usage(), self.real.usage(), "{name}, after event {}: {what}", self.events);
        self.events += 1;
        self.peak = self.peak.max(self.model.usage());
    }

    fn flush(&mut self, name: &str) {
        self.model.flush();
        self.real.flush();
        self.compare(name, "flush");
    }

    fn cleanup(&mut self, name: &str) {
        self.model.cleanup();
        self.real.cleanup();
        self.compare(name, "cleanup");
    }
}

/// A device with its peculiarities drawn.
fn device(random: &mut Random) -> (Properties, Setting) {
    let capacity = [64 * MIB, 600 * MIB, 4 * GIB, 11 * GIB, 48 * GIB][random.below(5) as usize];
    let properties = Properties {
        alignment: [512, 512, 512, 32, 256][random.below(5) as usize],
        max_page: capacity / [1, 4, 4, 4][random.below(4) as usize] + random.below(2) * 17,
        capacity: (random.below(5) > 0).then_some(capacity),
    };
    let limit = (random.below(3) > 0).then(|| capacity - capacity / (4 + random.below(12)));
    (properties, Setting { limit, relocates: random.below(2) == 0 })
}

/// Reservations and drops in any order.
fn anything(seed: u64) -> Pair {
    let name = format!("anything {seed}");
    let mut random = Random::new(seed);
    let (properties, setting) = device(&mut random);
    let mut pair = Pair::new(properties, setting);
    let (mut live, mut next) = (Vec::<u32>::new(), 0);
    let most = properties.max_page.max(2);
    let rounded = random.below(2) == 0;
    for _ in 0..400 {
        match random.below(100) {
            0 => pair.flush(&name),
            1 if random.below(8) == 0 => pair.cleanup(&name),
            2 if !live.is_empty() => {
                let at = random.below(live.len() as u64) as usize;
                pair.apply(Event::Rename { from: live[at], to: next }, &name);
                live[at] = next;
                next += 1;
            }
            3..50 if !live.is_empty() => {
                let at = random.below(live.len() as u64) as usize;
                pair.free(live.swap_remove(at), &name);
            }
            50 => {
                pair.apply(Event::Reserve { id: next, bytes: 0 }, &name);
                next += 1;
            }
            _ => {
                let bytes = random.size(most);
                let bytes = if rounded { bytes.next_multiple_of(properties.alignment) } else { bytes };
                if pair.apply(Event::Reserve { id: next, bytes }, &name) {
                    live.push(next);
                }
                next += 1;
            }
        }
    }
    pair
}

/// Drawn sizes of a training: its state, and for each operation a result with its temporaries.
struct Training {
    state: Vec<u64>,
    layers: Vec<(u64, Vec<u64>)>,
}

impl Training {
    fn new(random: &mut Random, properties: Properties) -> Self {
        let most = properties.max_page / 2;
        let round = |bytes: u64| bytes.next_multiple_of(properties.alignment);
        let state = (0..10 + random.below(60)).map(|_| round(random.size(most / 4))).collect();
        let batch = 1 + random.below(16);
        let layers = (0..5 + random.below(40)).map(|_| {
            let temporaries = (0..random.below(4)).map(|_| round((random.size(most / 16) * batch).min(most))).collect();
            (round((random.size(most / 16) * batch).min(most)), temporaries)
        });
        Self { state, layers: layers.collect() }
    }

    /// One micro-step: a stack of results that is built up and taken down, a gradient for some of them.
    fn step(&self, pair: &mut Pair, name: &str, first: bool) -> bool {
        let states = self.state.len() as u32;
        let (results, gradients, temporary) = (10_000, 20_000, 30_000);
        if first {
            (0..states).for_each(|i| pair.free(gradients + i, name));
        }
        let mut fits = true;
        let passing = |pair: &mut Pair, sizes: &[u64]| {
            let all = sizes
                .iter()
                .enumerate()
                .all(|(i, bytes)| pair.apply(Event::Reserve { id: temporary + i as u32, bytes: *bytes }, name));
            (0..sizes.len()).for_each(|i| pair.free(temporary + i as u32, name));
            all
        };
        for (i, (bytes, temporaries)) in self.layers.iter().enumerate() {
            fits &= pair.apply(Event::Reserve { id: results + i as u32, bytes: *bytes }, name) && passing(pair, temporaries);
        }
        for (i, (_, temporaries)) in self.layers.iter().enumerate().rev() {
            fits &= passing(pair, temporaries);
            let at = i as u32 % states;
            if first && (i as u32) < states {
                fits &= pair.apply(Event::Reserve { id: gradients + at, bytes: self.state[at as usize] }, name);
            }
            pair.free(results + i as u32, name);
        }
        fits
    }

    /// New weights beside the old ones, which then take their place.
    fn update(&self, pair: &mut Pair, name: &str) -> bool {
        (0u32..).zip(&self.state).all(|(id, bytes)| {
            let made = pair.apply(Event::Reserve { id: 40_000, bytes: *bytes }, name);
            if made {
                pair.free(id, name);
                pair.apply(Event::Rename { from: 40_000, to: id }, name);
            }
            made
        })
    }
}

/// A few steps of something like a training; ends where the device is full.
fn training(seed: u64) -> Pair {
    let name = format!("training {seed}");
    let mut random = Random::new(seed ^ 0xABCD_EF00);
    let (properties, setting) = device(&mut random);
    let mut pair = Pair::new(properties, setting);
    let plan = Training::new(&mut random, properties);
    let started = (0u32..).zip(&plan.state).all(|(id, bytes)| pair.apply(Event::Reserve { id, bytes: *bytes }, &name));
    let in_place = random.below(2) == 0;
    for _ in 0..4 {
        let fits = started && plan.step(&mut pair, &name, true) && plan.step(&mut pair, &name, false);
        if !fits || !(in_place || plan.update(&mut pair, &name)) {
            break;
        }
    }
    pair
}

/// How much of what can happen did happen.
#[derive(Default)]
struct Seen {
    events: u64,
    refused: u64,
    reclaimed: u64,
    relocated: u64,
    most: u64,
}

fn all(sequences: u64, run: impl Fn(u64) -> Pair) -> Seen {
    (0..sequences).map(run).fold(Seen::default(), |seen, pair| Seen {
        events: seen.events + pair.events,
        refused: seen.refused + pair.refused,
        reclaimed: seen.reclaimed + pair.model.reclaims(),
        relocated: seen.relocated + pair.model.relocations(),
        most: seen.most.max(pair.peak.held),
    })
}

fn show(what: &str, sequences: u64, seen: &Seen) {
    println!(
        "{what}: {sequences} sequences, {} events, {} refused, {} reclaims, {} relocations, most held {} MiB",
        seen.events,
        seen.refused,
        seen.reclaimed,
        seen.relocated,
        seen.most / MIB
    );
    let happened = [seen.refused, seen.reclaimed, seen.relocated];
    assert!(happened.iter().all(|n| *n > sequences / 100), "{happened:?}: the sequences leave out what they are for");
    assert!(seen.most > 8 * GIB, "no sequence comes near a card");
}

#[test]
fn any_sequence_leaves_both_alike() {
    let sequences = 4000;
    show("anything", sequences, &all(sequences, anything));
}

#[test]
fn trainings_leave_both_alike() {
    let sequences = 3000;
    show("training", sequences, &all(sequences, training));
}
