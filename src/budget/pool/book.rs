//! Pages and the slices that they are cut into: `memory_pool/memory_page.rs` and the walk over pages of
//! `memory_pool/sliced_pool.rs` in cubecl-server 0.11.3.
//!
//! The manager merges neighbouring free slices of a page just before it looks for room there (`MemoryPage::coalesce`); here they
//! are merged when they become free. Nothing looks at a page's slices in between, so the outcome is the same, and no page has to
//! be gone through for nothing.
//!
//! Two quirks are kept, since they are what runs: a free slice that had padding and stands alone offers its bytes without that
//! padding (`MemoryPage::try_reserve` compares with `utilization.size`), and what is cut from it leaves the padding out for good,
//! so that the slices of a page may sum to less than the page.
//!
//! Invariant: no two neighbouring slices of a page are free.

/// No slice.
pub(super) const NONE: u32 = u32::MAX;

/// A stretch of a page.
#[derive(Clone, Copy, Debug)]
struct Slice {
    /// Bytes that were asked for, or that are free.
    size: u64,
    /// Bytes up to the next multiple of the alignment.
    padding: u64,
    /// Who has it; [`NONE`] where it is free.
    owner: u32,
    /// Bytes of the page before it.
    address: u64,
    page: u32,
    before: u32,
    after: u32,
}

impl Slice {
    fn effective(&self) -> u64 {
        self.size + self.padding
    }

    fn is_free(&self) -> bool {
        self.owner == NONE
    }
}

/// A stretch of device memory.
#[derive(Clone, Debug)]
struct Page {
    first: u32,
    /// Its free slices with their addresses, in the order of these: they are few among many.
    free: Vec<(u64, u32)>,
    /// Slices that are in use.
    live: u32,
    /// No free slice offers more.
    most_free: u64,
}

/// What the slices of all pages come to, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// In use, without padding.
    pub in_use: u64,
    /// Padding of what is in use.
    pub padding: u64,
    /// All slices with their padding.
    pub sliced: u64,
}

/// A slice that is in use: its owner and its size in bytes.
pub(super) type Live = (u32, u64);

/// All pages and slices; both are known by their number, which is used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    slices: Vec<Slice>,
    pages: Vec<Page>,
    spare_slices: Vec<u32>,
    spare_pages: Vec<u32>,
    sums: Sums,
}

impl Book {
    /// What all slices come to.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// A new page of one free slice.
    pub fn open(&mut self, bytes: u64) -> u32 {
        let page = Page { first: NONE, free: Vec::new(), live: 0, most_free: bytes };
        let number = reuse(&mut self.pages, &mut self.spare_pages, page);
        let slice = Slice { size: bytes, padding: 0, owner: NONE, address: 0, page: number, before: NONE, after: NONE };
        let first = reuse(&mut self.slices, &mut self.spare_slices, slice);
        let page = &mut self.pages[number as usize];
        page.first = first;
        page.free.push((0, first));
        self.sums.sliced += bytes;
        number
    }

    /// Gives a page up, with its slices.
    pub fn close(&mut self, page: u32) {
        let mut at = self.pages[page as usize].first;
        while at != NONE {
            let slice = self.slices[at as usize];
            self.sums.sliced -= slice.effective();
            self.spare_slices.push(at);
            at = slice.after;
        }
        self.spare_pages.push(page);
    }

    /// Whether nothing of a page is in use.
    pub fn is_unused(&self, page: u32) -> bool {
        self.pages[page as usize].live == 0
    }

    /// What is in use on a page, in the order of its addresses.
    pub fn live(&self, page: u32) -> impl Iterator<Item = Live> {
        self.slices(page).filter(|slice| !slice.is_free()).map(|slice| (slice.owner, slice.size))
    }

    /// Size, padding and owner of every slice of a page, in the order of addresses.
    pub fn layout(&self, page: u32) -> impl Iterator<Item = [u64; 3]> {
        self.slices(page).map(|slice| [slice.size, slice.padding, u64::from(slice.owner)])
    }

    fn slices(&self, page: u32) -> impl Iterator<Item = &Slice> {
        let follow = |at: u32| (at != NONE).then(|| &self.slices[at as usize]);
        std::iter::successors(follow(self.pages[page as usize].first), move |slice| follow(slice.after))
    }

    /// Cuts `size` bytes with their padding from the first free slice of the page that has room for both.
    pub fn take(&mut self, page: u32, owner: u32, size: u64, padding: u64) -> Option<u32> {
        let wanted = size + padding;
        if self.pages[page as usize].most_free < wanted {
            return None;
        }
        let offers = |(_, at): &(u64, u32)| self.slices[*at as usize].size;
        let free = &self.pages[page as usize].free;
        if let Some(place) = free.iter().position(|slice| offers(slice) >= wanted) {
            return Some(self.cut(page, place, owner, size, padding));
        }
        let most = free.iter().map(offers).max().unwrap_or(0);
        self.pages[page as usize].most_free = most;
        None
    }

    /// Cuts from the free slice of this place among the page's.
    fn cut(&mut self, page: u32, place: usize, owner: u32, size: u64, padding: u64) -> u32 {
        let (_, at) = self.pages[page as usize].free[place];
        let old = self.slices[at as usize];
        let left = old.size - size - padding;
        if left > 0 {
            let address = old.address + size + padding;
            let rest = Slice { size: left, padding: 0, owner: NONE, address, before: at, ..old };
            let number = reuse(&mut self.slices, &mut self.spare_slices, rest);
            self.join(number, old.after);
            self.slices[at as usize].after = number;
            self.pages[page as usize].free[place] = (address, number);
        } else {
            self.pages[page as usize].free.remove(place);
        }
        let slice = &mut self.slices[at as usize];
        (slice.size, slice.padding, slice.owner) = (size, padding, owner);
        self.pages[old.page as usize].live += 1;
        self.sums.in_use += size;
        self.sums.padding += padding;
        self.sums.sliced -= old.padding;
        at
    }

    /// Frees a slice and merges it with its free neighbours.
    pub fn free(&mut self, at: u32) {
        let slice = self.slices[at as usize];
        self.sums.in_use -= slice.size;
        self.sums.padding -= slice.padding;
        self.slices[at as usize].owner = NONE;
        let mut merged = at;
        if self.is_free(slice.before) {
            merged = self.merge(slice.before);
        } else {
            let free = &mut self.pages[slice.page as usize].free;
            let place = free.partition_point(|(address, _)| *address < slice.address);
            free.insert(place, (slice.address, at));
        }
        if self.is_free(slice.after) {
            let address = self.slices[slice.after as usize].address;
            let free = &mut self.pages[slice.page as usize].free;
            let place = free.partition_point(|(other, _)| *other < address);
            free.remove(place);
            merged = self.merge(merged);
        }
        let offers = self.slices[merged as usize].size;
        let page = &mut self.pages[slice.page as usize];
        page.live -= 1;
        page.most_free = page.most_free.max(offers);
    }

    fn is_free(&self, at: u32) -> bool {
        at != NONE && self.slices[at as usize].is_free()
    }

    /// Merges a free slice with the one after it.
    fn merge(&mut self, at: u32) -> u32 {
        let next = self.slices[at as usize].after;
        let (one, other) = (self.slices[at as usize], self.slices[next as usize]);
        let slice = &mut self.slices[at as usize];
        (slice.size, slice.padding) = (one.effective() + other.effective(), 0);
        self.join(at, other.after);
        self.spare_slices.push(next);
        at
    }

    fn join(&mut self, before: u32, after: u32) {
        self.slices[before as usize].after = after;
        if after != NONE {
            self.slices[after as usize].before = before;
        }
    }

    /// Gives a slice to another owner.
    pub fn hand(&mut self, at: u32, owner: u32) {
        self.slices[at as usize].owner = owner;
    }
}

/// Puts a value where one was given up, or at the end; gives its number.
fn reuse<T>(all: &mut Vec<T>, spare: &mut Vec<u32>, value: T) -> u32 {
    if let Some(number) = spare.pop() {
        all[number as usize] = value;
        return number;
    }
    all.push(value);
    (all.len() - 1) as u32
}
