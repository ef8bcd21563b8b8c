//! The manager: which pool serves a reservation, when pages grow, when they go back, and what is moved.

use super::book::{Book, Live, NONE};
use super::{Event, Properties, Refusal, Usage};

const MIB: u64 = 1 << 20;
/// Pages of the pool for small reservations (`SMALL_PAGE` in `dynamic/adaptive.rs`).
const SMALL_PAGE: u64 = 8 * MIB;
/// The largest of them (`SMALL_SLICE`).
const SMALL: u64 = 64 << 10;
/// The smallest pages of the arena (`MIN_PAGE`).
const LEAST_PAGE: u64 = 2 * MIB;
/// What a page has beyond the reservation that it was made for, and the multiple that it is rounded up to (`PAGE_SLACK`,
/// `PAGE_GRANULE` in `dynamic/arena.rs`).
const GRANULE: u64 = MIB;
/// How many sizes of pages there may be at once (`ARENA_SLOTS`).
const SIZES: usize = 64;

/// What is chosen about a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What the driver gives out in all, bytes; none for as much as is asked.
    pub limit: Option<u64>,
    /// Whether live memory can be moved off pages of old sizes.
    pub relocates: bool,
}

/// Pages of one size.
#[derive(Clone, Debug)]
struct Pool {
    page_size: u64,
    pages: Vec<u32>,
}

/// Whether a relocation may take new pages (`TargetRoom`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Held,
    New,
}

/// What a relocation looks at; one that moved nothing is not tried again while this stays (`ArenaShape`).
type Shape = [usize; 3];

/// The model of one stream's manager.
#[derive(Clone, Debug)]
pub struct Manager {
    properties: Properties,
    setting: Setting,
    book: Book,
    small: Pool,
    current: Pool,
    /// Pools of old page sizes, in the order in which they were left.
    outdated: Vec<Pool>,
    /// Bytes of pages that are given up but not yet with the driver.
    queued: u64,
    held: u64,
    stalled: Option<Shape>,
    /// The slice of each identity.
    slices: Vec<u32>,
    /// How often everything unused went back because the driver refused.
    reclaims: u64,
    relocations: u64,
}

impl Manager {
    /// A manager that holds nothing.
    pub fn new(properties: Properties, setting: Setting) -> Self {
        let least = LEAST_PAGE.min(properties.max_page);
        let mut new = Self {
            properties,
            setting,
            book: Book::default(),
            small: Pool { page_size: SMALL_PAGE.next_multiple_of(properties.alignment), pages: Vec::new() },
            current: Pool { page_size: 0, pages: Vec::new() },
            outdated: Vec::new(),
            queued: 0,
            held: 0,
            stalled: None,
            slices: Vec::new(),
            reclaims: 0,
            relocations: 0,
        };
        new.current.page_size = new.at_least_aligned(least).min(new.most());
        new
    }

    /// Does one thing.
    ///
    /// # Errors
    /// A reservation that cannot be had; the manager is then as it was, but for what went back to the driver.
    pub fn apply(&mut self, event: Event) -> Result<(), Refusal> {
        match event {
            Event::Reserve { id, bytes } => self.reserve(id, bytes)?,
            Event::Free { id } => {
                let slice = self.take_slice(id);
                if slice != NONE {
                    self.book.free(slice);
                }
            }
            Event::Rename { from, to } => {
                let slice = self.take_slice(from);
                if slice != NONE {
                    self.book.hand(slice, to);
                    self.put_slice(to, slice);
                }
            }
        }
        Ok(())
    }

    /// What is in use and what is taken.
    pub fn usage(&self) -> Usage {
        let sums = self.book.sums();
        Usage { in_use: sums.in_use, padding: sums.padding, reserved: sums.sliced, held: self.held }
    }

    /// How often everything unused went back because the driver refused a page.
    pub fn reclaims(&self) -> u64 {
        self.reclaims
    }

    /// How often live memory was to be moved off old pages; each time the device is waited for.
    pub fn relocations(&self) -> u64 {
        self.relocations
    }

    /// Gives the pages that were given up back to the driver (`GpuStorage::flush`).
    pub fn flush(&mut self) {
        self.held -= self.queued;
        self.queued = 0;
    }

    /// Gives everything back that holds nothing (`Command::memory_cleanup`, burn's `Device::memory_cleanup`).
    pub fn cleanup(&mut self) {
        if !self.outdated.is_empty() {
            self.relocate(Room::Held);
        }
        let mut pools = [std::mem::take(&mut self.small.pages), std::mem::take(&mut self.current.pages)];
        for (pages, size) in pools.iter_mut().zip([self.small.page_size, self.current.page_size]) {
            self.release(pages, size);
        }
        [self.small.pages, self.current.pages] = pools;
        self.drain();
        self.flush();
    }

    /// Everything that what follows depends on, as numbers: equal where two managers will behave alike.
    pub fn layout(&self) -> Vec<u64> {
        let mut all = vec![self.queued, self.held];
        all.extend(self.stalled.into_iter().flatten().map(|n| n as u64));
        for pool in self.outdated.iter().chain([&self.small, &self.current]) {
            all.extend([u64::MAX, pool.page_size]);
            for page in &pool.pages {
                all.push(u64::MAX - 1);
                all.extend(self.book.layout(*page).flatten());
            }
        }
        all
    }

    fn take_slice(&mut self, id: u32) -> u32 {
        self.slices.get_mut(id as usize).map_or(NONE, |slice| std::mem::replace(slice, NONE))
    }

    fn put_slice(&mut self, id: u32, slice: u32) {
        let at = id as usize;
        if self.slices.len() <= at {
            self.slices.resize(at + 1, NONE);
        }
        self.slices[at] = slice;
    }

    fn at_least_aligned(&self, bytes: u64) -> u64 {
        bytes.max(self.properties.alignment).next_multiple_of(self.properties.alignment)
    }

    /// The largest page.
    fn most(&self) -> u64 {
        let alignment = self.properties.alignment;
        (self.properties.max_page / alignment * alignment).max(alignment)
    }

    fn reserve(&mut self, id: u32, bytes: u64) -> Result<(), Refusal> {
        self.relocate_when_wanted();
        let slice = match self.try_reserve(id, bytes) {
            Err(Refusal::OutOfMemory { .. }) => {
                self.reclaims += 1;
                self.cleanup();
                self.try_reserve(id, bytes)?
            }
            Err(Refusal::OutOfSizes) if !self.outdated.is_empty() => {
                self.relocate(Room::New);
                self.try_reserve(id, bytes)?
            }
            tried => tried?,
        };
        self.put_slice(id, slice);
        Ok(())
    }

    fn try_reserve(&mut self, id: u32, bytes: u64) -> Result<u32, Refusal> {
        self.drain();
        if bytes == 0 {
            return Ok(NONE);
        }
        if bytes <= SMALL.next_multiple_of(self.properties.alignment) {
            return self.reserve_small(id, bytes);
        }
        let needed = bytes.next_multiple_of(self.properties.alignment);
        if needed > self.current.page_size {
            return self.grow(id, bytes, needed);
        }
        match self.find(id, bytes) {
            Some(slice) => Ok(slice),
            None => self.new_page(id, bytes),
        }
    }

    fn reserve_small(&mut self, id: u32, bytes: u64) -> Result<u32, Refusal> {
        let padding = self.padding(bytes);
        let book = &mut self.book;
        if let Some(slice) = self.small.pages.iter().find_map(|page| book.take(*page, id, bytes, padding)) {
            return Ok(slice);
        }
        let page = self.alloc(self.small.page_size)?;
        self.small.pages.push(page);
        Ok(self.book.take(page, id, bytes, padding).unwrap_or(NONE))
    }

    /// Room on a page of the current size.
    fn find(&mut self, id: u32, bytes: u64) -> Option<u32> {
        let padding = self.padding(bytes);
        let book = &mut self.book;
        self.current.pages.iter().find_map(|page| book.take(*page, id, bytes, padding))
    }

    /// Room on a new page of the current size.
    fn new_page(&mut self, id: u32, bytes: u64) -> Result<u32, Refusal> {
        let padding = self.padding(bytes);
        let page = self.alloc(self.current.page_size)?;
        self.current.pages.push(page);
        Ok(self.book.take(page, id, bytes, padding).unwrap_or(NONE))
    }

    /// Pages of a new size take over.
    fn grow(&mut self, id: u32, bytes: u64, needed: u64) -> Result<u32, Refusal> {
        let most = self.most();
        if needed > most {
            return Err(Refusal::TooLarge { bytes, most });
        }
        if self.outdated.len() + 1 == SIZES {
            return Err(Refusal::OutOfSizes);
        }
        let rounded = (bytes + GRANULE).next_multiple_of(GRANULE).next_multiple_of(self.properties.alignment);
        let least = self.at_least_aligned(LEAST_PAGE.min(self.properties.max_page)).min(most);
        let page_size = rounded.clamp(least, most);
        let page = self.alloc(page_size)?;
        let old = std::mem::replace(&mut self.current, Pool { page_size, pages: vec![page] });
        self.outdated.push(old);
        Ok(self.book.take(page, id, bytes, self.padding(bytes)).unwrap_or(NONE))
    }

    fn padding(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(self.properties.alignment) - bytes
    }

    /// A page from the driver.
    fn alloc(&mut self, page: u64) -> Result<u32, Refusal> {
        if self.setting.limit.is_some_and(|limit| self.held + page > limit) {
            return Err(Refusal::OutOfMemory { page, held: self.held });
        }
        self.held += page;
        Ok(self.book.open(page))
    }

    /// Gives up the pages that hold nothing.
    fn release(&mut self, pages: &mut Vec<u32>, size: u64) {
        let Self { book, queued, .. } = self;
        pages.retain(|page| {
            let unused = book.is_unused(*page);
            if unused {
                book.close(*page);
                *queued += size;
            }
            !unused
        });
    }

    /// Gives up the empty pages of old sizes, and the pools that are left with none.
    fn drain(&mut self) {
        if self.outdated.is_empty() {
            return;
        }
        let mut pools = std::mem::take(&mut self.outdated);
        pools.retain_mut(|pool| {
            self.release(&mut pool.pages, pool.page_size);
            !pool.pages.is_empty()
        });
        self.outdated = pools;
    }

    fn shape(&self) -> Shape {
        [self.current.pages.len(), self.outdated.len(), self.outdated.iter().map(|pool| pool.pages.len()).sum()]
    }

    /// Moves live memory off old pages where there are too many sizes, or where two more pages would not fit on the card
    /// (`RelocationTrigger::need`, `MemoryPressure::new`).
    fn relocate_when_wanted(&mut self) {
        if self.outdated.is_empty() || self.stalled == Some(self.shape()) {
            return;
        }
        if self.outdated.len() + 1 == SIZES {
            self.relocate(Room::New);
        } else if let Some(capacity) = self.properties.capacity
            && self.held + self.current.page_size > capacity.saturating_sub(self.current.page_size)
        {
            self.relocate(Room::Held);
        }
    }

    /// Empties old pages, those with the fewest live bytes first, each wholly or not at all (`PoolArena::plan`, `commit`).
    fn relocate(&mut self, room: Room) {
        self.relocations += 1;
        let moves = if self.setting.relocates { self.plan_moves(room) } else { Vec::new() };
        if moves.is_empty() {
            self.stalled = Some(self.shape());
            return;
        }
        for (owner, target) in moves {
            let source = self.take_slice(owner);
            self.book.free(source);
            self.put_slice(owner, target);
        }
        self.drain();
        self.stalled = None;
        self.flush();
    }

    /// Owners with the slices that are reserved for them on current pages.
    fn plan_moves(&mut self, room: Room) -> Vec<(u32, u32)> {
        let old = self.outdated.iter().flat_map(|pool| &pool.pages);
        let mut pages: Vec<Vec<Live>> = old.map(|page| self.book.live(*page).collect()).collect();
        pages.retain(|live| !live.is_empty());
        pages.sort_by_key(|live| live.iter().map(|(_, size)| size).sum::<u64>());
        let mut moves: Vec<(u32, u32)> = Vec::new();
        for live in pages {
            let start = moves.len();
            for (owner, size) in live {
                let target = match (self.find(owner, size), room) {
                    (None, Room::New) => self.new_page(owner, size).ok(),
                    (found, _) => found,
                };
                let Some(target) = target else {
                    moves.drain(start..).for_each(|(_, target)| self.book.free(target));
                    break;
                };
                moves.push((owner, target));
            }
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Setting = Setting { limit: None, relocates: true };

    fn manager(limit: Option<u64>) -> Manager {
        let properties = Properties { alignment: 512, max_page: 1024 * MIB, capacity: Some(4096 * MIB) };
        Manager::new(properties, Setting { limit, ..FREE })
    }

    fn reserve(manager: &mut Manager, id: u32, bytes: u64) {
        manager.apply(Event::Reserve { id, bytes }).unwrap();
    }

    #[test]
    fn old_pages_serve_nothing_and_go_back_when_they_are_empty() {
        let mut m = manager(None);
        reserve(&mut m, 0, MIB);
        reserve(&mut m, 1, 10 * MIB);
        assert_eq!(m.usage(), Usage { in_use: 11 * MIB, padding: 0, reserved: 13 * MIB, held: 13 * MIB });
        reserve(&mut m, 2, MIB);
        assert_eq!(m.usage().reserved, 13 * MIB, "cut from the page of 11 MiB");
        m.apply(Event::Free { id: 0 }).unwrap();
        assert_eq!(m.usage().reserved, 13 * MIB, "given up at the next reservation");
        reserve(&mut m, 0, MIB);
        assert_eq!((m.usage().reserved, m.usage().held), (22 * MIB, 24 * MIB), "with the driver at the next flush");
        m.flush();
        assert_eq!(m.usage().held, 22 * MIB);
    }

    #[test]
    fn a_refused_page_is_had_after_everything_unused_went_back() {
        let mut m = manager(Some(40 * MIB));
        reserve(&mut m, 0, 20 * MIB);
        m.apply(Event::Free { id: 0 }).unwrap();
        reserve(&mut m, 1, 30 * MIB);
        assert_eq!((m.usage().held, m.reclaims()), (31 * MIB, 1));
        let refused = m.apply(Event::Reserve { id: 2, bytes: 20 * MIB });
        assert_eq!(refused, Err(Refusal::OutOfMemory { page: 31 * MIB, held: 31 * MIB }));
    }

    #[test]
    fn nothing_larger_than_the_largest_page_is_given_out() {
        let mut m = manager(None);
        let refused = m.apply(Event::Reserve { id: 0, bytes: 1024 * MIB + 1 });
        assert_eq!(refused, Err(Refusal::TooLarge { bytes: 1024 * MIB + 1, most: 1024 * MIB }));
    }
}
