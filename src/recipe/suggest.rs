//! "Did you mean": the nearest of several names.

/// The candidate nearest to `name`, if any is near enough: at most a third of the longer name's letters differ
/// (Damerau–Levenshtein), or they are the same but for case and underscores.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let wanted = plain(name);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.chars().count().max(wanted.chars().count()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
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
