//! "Did you mean": the nearest of several names.

/// Bytes of a name that can be a slip of the pen.
const LONGEST: usize = 200;

/// In how many letters two names differ (Damerau–Levenshtein), case and underscores aside; `None` where it is more than a third of the
/// longer name's letters.
pub fn distance(name: &str, candidate: &str) -> Option<usize> {
    if name.len() > LONGEST {
        return None;
    }
    let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let (wanted, candidate) = (plain(name), plain(candidate));
    let distance = strsim::damerau_levenshtein(&wanted, &candidate);
    let longer = wanted.chars().count().max(candidate.chars().count());
    (!wanted.is_empty() && (distance * 3 <= longer || distance == 1 && longer > 1)).then_some(distance)
}

/// The candidate nearest to `name`, if any is near enough; of several the first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().filter_map(|candidate| Some((distance(name, candidate)?, candidate)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggests_the_nearest_name_and_nothing_far_away() {
        assert_eq!(nearest("widht", ["width", "depth"]), Some("width"));
        assert_eq!(nearest("MicroBatch", ["micro_batch"]), Some("micro_batch"));
        assert_eq!(nearest("banana", ["width", "depth"]), None);
    }
}
