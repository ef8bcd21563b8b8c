//! The WordPiece vocabulary: characters first, then the most frequent neighbours joined, one pair at a time.
//!
//! Every step is a function of the word counts: the pair with the highest count is joined, and of equal counts the
//! one whose tokens come first in the alphabet. Hash maps are looked up, never walked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::rc::Rc;

use super::tokenizer::{LONGEST_WORD, SPECIALS};
use super::{DataError, Report, Stage, report};

/// At most this many different characters get into the vocabulary; the rest become `<unk>`.
const ALPHABET: usize = 1000;

type Pair = (u32, u32);

/// A pair in the queue: highest count first, then alphabetic.
type Candidate = (u64, Reverse<(Rc<str>, Rc<str>)>, Pair);

/// A word as tokens, and how often it appears.
struct Word {
    tokens: Vec<u32>,
    count: u64,
}

/// The vocabulary in the making.
struct Trainer {
    entries: Vec<Rc<str>>,
    ids: HashMap<Rc<str>, u32>,
    words: Vec<Word>,
    counts: HashMap<Pair, u64>,
    places: HashMap<Pair, Vec<u32>>,
    queue: BinaryHeap<Candidate>,
}

/// Trains on counted words in alphabetic order; the entries are in the order of their ids.
///
/// A `closed` text has no more words than these: ids that are left over are reserved, under names that no text
/// can produce, so that any vocabulary that is large enough can be asked for.
pub(super) fn train(counted: &[(&str, u64)], wanted: u64, closed: bool, progress: Report) -> Result<Vec<String>, DataError> {
    let free = (wanted as usize).saturating_sub(SPECIALS.len());
    // Half of the free entries hold characters, alone and continued, at most; all of them where joins run out.
    let mut entries = grow(counted, wanted, free / 4, progress)?;
    if !closed && (entries.len() as u64) < wanted {
        entries = grow(counted, wanted, free / 2, progress)?;
    }
    let reached = entries.len() as u64;
    let left_over = if closed { wanted.saturating_sub(reached) } else { 0 };
    entries.extend((0..left_over).map(|i| format!("<reserved{i}>")));
    if reached + left_over == wanted { Ok(entries) } else { Err(DataError::Vocabulary { wanted, reached }) }
}

/// Joins pairs until there are enough entries or no pair is left.
fn grow(counted: &[(&str, u64)], wanted: u64, limit: usize, progress: Report) -> Result<Vec<String>, DataError> {
    let mut trainer = Trainer::new(counted, limit.min(ALPHABET));
    while (trainer.entries.len() as u64) < wanted && trainer.merge_best() {
        if trainer.entries.len().is_multiple_of(256) {
            report(progress, Stage::Vocabulary, trainer.entries.len() as u64, wanted)?;
        }
    }
    Ok(trainer.entries.iter().map(|entry| String::from(&**entry)).collect())
}

impl Trainer {
    /// Special tokens, the alphabet, and every word as characters.
    fn new(counted: &[(&str, u64)], limit: usize) -> Self {
        let alphabet = alphabet(counted, limit);
        let mut trainer = Self {
            entries: Vec::new(),
            ids: HashMap::new(),
            words: Vec::new(),
            counts: HashMap::new(),
            places: HashMap::new(),
            queue: BinaryHeap::new(),
        };
        for entry in SPECIALS {
            trainer.id(entry);
        }
        for character in &alphabet {
            trainer.id(&character.to_string());
        }
        for character in &alphabet {
            trainer.id(&format!("##{character}"));
        }
        trainer.spell(counted, &alphabet);
        trainer.count();
        trainer
    }

    /// The id of an entry, new or known.
    fn id(&mut self, entry: &str) -> u32 {
        if let Some(&id) = self.ids.get(entry) {
            return id;
        }
        let id = self.entries.len() as u32;
        let entry: Rc<str> = entry.into();
        self.entries.push(Rc::clone(&entry));
        self.ids.insert(entry, id);
        id
    }

    /// Splits the words into characters; words that would be `<unk>` are left out.
    fn spell(&mut self, counted: &[(&str, u64)], alphabet: &BTreeSet<char>) {
        for &(word, count) in counted {
            if word.chars().count() > LONGEST_WORD || !word.chars().all(|c| alphabet.contains(&c)) {
                continue;
            }
            let spelled = word.chars().enumerate().map(|(i, c)| if i == 0 { c.to_string() } else { format!("##{c}") });
            let tokens = spelled.map(|token| self.id(&token)).collect();
            self.words.push(Word { tokens, count });
        }
    }

    /// Counts all pairs and queues them.
    fn count(&mut self) {
        let mut seen = BTreeSet::new();
        for (number, word) in self.words.iter().enumerate() {
            for pair in pairs(&word.tokens) {
                *self.counts.entry(pair).or_default() += word.count;
                note(self.places.entry(pair).or_default(), number as u32);
                seen.insert(pair);
            }
        }
        for pair in seen {
            self.enqueue(pair);
        }
    }

    /// Puts a pair in the queue with the count it has now.
    fn enqueue(&mut self, pair: Pair) {
        let count = self.counts.get(&pair).copied().unwrap_or_default();
        if count > 0 {
            let name = |id: u32| Rc::clone(&self.entries[id as usize]);
            self.queue.push((count, Reverse((name(pair.0), name(pair.1))), pair));
        }
    }

    /// Joins the best pair; `false` if no pair is left.
    fn merge_best(&mut self) -> bool {
        while let Some((count, _, pair)) = self.queue.pop() {
            if self.counts.get(&pair).copied().unwrap_or_default() == count {
                self.merge(pair);
                return true;
            }
            // Counts only fall while a pair waits (a rise queues it anew), so the old entry can be put back lower.
            self.enqueue(pair);
        }
        false
    }

    /// Joins a pair in every word that has it, and counts the neighbours anew.
    fn merge(&mut self, pair: Pair) {
        let (left, right) = (&self.entries[pair.0 as usize], &self.entries[pair.1 as usize]);
        let joined = format!("{left}{}", right.strip_prefix("##").unwrap_or(right));
        let joined = self.id(&joined);
        let mut risen = BTreeSet::new();
        for number in self.places.remove(&pair).unwrap_or_default() {
            let word = &mut self.words[number as usize];
            let Some(tokens) = join(&word.tokens, pair, joined) else { continue };
            for old in pairs(&word.tokens) {
                if let Some(count) = self.counts.get_mut(&old) {
                    *count -= word.count;
                }
            }
            for new in pairs(&tokens) {
                *self.counts.entry(new).or_default() += word.count;
                if new.0 == joined || new.1 == joined {
                    note(self.places.entry(new).or_default(), number);
                    risen.insert(new);
                }
            }
            word.tokens = tokens;
        }
        for pair in risen {
            self.enqueue(pair);
        }
    }
}

/// The neighbours in a word.
fn pairs(tokens: &[u32]) -> impl Iterator<Item = Pair> {
    tokens.windows(2).map(|w| (w[0], w[1]))
}

/// Adds a word's number once; a word's pairs come one after the other.
fn note(places: &mut Vec<u32>, number: u32) {
    if places.last() != Some(&number) {
        places.push(number);
    }
}

/// The tokens with a pair joined, from the left; nothing if the pair is not there.
fn join(tokens: &[u32], pair: Pair, joined: u32) -> Option<Vec<u32>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let [first, after @ ..] = rest {
        if after.first() == Some(&pair.1) && *first == pair.0 {
            out.push(joined);
            rest = &after[1..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    (out.len() < tokens.len()).then_some(out)
}

/// The most frequent characters; of equal counts the first in the order of their code points.
fn alphabet(counted: &[(&str, u64)], limit: usize) -> BTreeSet<char> {
    let mut counts = BTreeMap::<char, u64>::new();
    for (word, count) in counted {
        for character in word.chars() {
            *counts.entry(character).or_default() += count;
        }
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|&(character, count)| (Reverse(count), character));
    ranked.into_iter().take(limit).map(|(character, _)| character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(counted: &[(&str, u64)], wanted: u64) -> Vec<String> {
        train(counted, wanted, false, &mut |_| true).unwrap().split_off(SPECIALS.len())
    }

    #[test]
    fn the_most_frequent_pair_is_joined_first_and_ties_go_by_the_alphabet() {
        let got = entries(&[("abc", 5), ("bd", 9)], 18);
        assert_eq!(got, ["a", "b", "c", "d", "##a", "##b", "##c", "##d", "bd", "##bc", "abc"]);
    }

    #[test]
    fn what_can_be_reached_is_named_and_then_is_reached() {
        let error = train(&[("ab", 1)], 40, false, &mut |_| true).unwrap_err();
        assert!(matches!(error, DataError::Vocabulary { wanted: 40, reached: 12 }), "{error}");
        assert_eq!(entries(&[("ab", 1)], 12).last().unwrap(), "ab");
    }

    #[test]
    fn a_closed_text_reserves_what_is_left() {
        assert_eq!(train(&[("ab", 1)], 30, true, &mut |_| true).unwrap().last().unwrap(), "<reserved17>");
    }

    #[test]
    fn overlapping_pairs_are_counted_once() {
        assert_eq!(join(&[1, 1, 1, 2], (1, 1), 3), Some(vec![3, 1, 2]));
        assert_eq!(join(&[1, 2], (2, 1), 3), None);
    }

    /// The same vocabulary the slow way: all pairs counted anew before each join.
    fn slowly(counted: &[(&str, u64)], joins: usize) -> Vec<String> {
        let mut trainer = Trainer::new(counted, ALPHABET);
        for _ in 0..joins {
            let mut counts = BTreeMap::<(Rc<str>, Rc<str>, Pair), u64>::new();
            for word in &trainer.words {
                for pair in pairs(&word.tokens) {
                    let name = |id: u32| Rc::clone(&trainer.entries[id as usize]);
                    *counts.entry((name(pair.0), name(pair.1), pair)).or_default() += word.count;
                }
            }
            let Some(((.., pair), _)) = counts.into_iter().min_by_key(|(_, count)| Reverse(*count)) else { break };
            let right = trainer.entries[pair.1 as usize].trim_start_matches('#').to_owned();
            let joined = trainer.id(&format!("{}{right}", trainer.entries[pair.0 as usize]));
            for word in &mut trainer.words {
                word.tokens = join(&word.tokens, pair, joined).unwrap_or_else(|| word.tokens.clone());
            }
        }
        trainer.entries.iter().map(|entry| String::from(&**entry)).collect()
    }

    proptest::proptest! {
        #[test]
        fn counting_only_what_changes_gives_the_same_joins(
            words in proptest::collection::btree_map("[abc]{1,7}", 1u64..5, 1..12), joins in 0usize..20,
        ) {
            let counted: Vec<_> = words.iter().map(|(word, count)| (word.as_str(), *count)).collect();
            let mut trainer = Trainer::new(&counted, ALPHABET);
            for _ in 0..joins {
                trainer.merge_best();
            }
            let entries: Vec<_> = trainer.entries.iter().map(|entry| String::from(&**entry)).collect();
            proptest::prop_assert_eq!(entries, slowly(&counted, joins));
        }
    }
}
