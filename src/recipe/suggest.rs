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

/// Whether a name can hardly be anything but a slip for `meant`: one letter differs, or two of a long name, and none of the other
/// candidates is as near.
pub fn is_slip<'a>(name: &str, meant: &str, candidates: impl IntoIterator<Item = &'a str>) -> bool {
    const LONG: usize = 8;
    let Some(letters) = distance(name, meant) else { return false };
    let near = letters <= 1 || letters == 2 && meant.chars().count() >= LONG;
    near && !candidates.into_iter().any(|other| other != meant && distance(name, other).is_some_and(|d| d <= letters))
}

#[cfg(test)]
mod tests {
    use super::{is_slip, nearest};

    #[test]
    fn suggests_the_nearest_name_and_nothing_far_away() {
        assert_eq!(nearest("widht", ["width", "depth"]), Some("width"));
        assert_eq!(nearest("MicroBatch", ["micro_batch"]), Some("micro_batch"));
        assert_eq!(nearest("banana", ["width", "depth"]), None);
    }

    #[test]
    fn a_slip_is_near_to_one_name_only() {
        assert!(is_slip("widht", "width", ["width", "depth"]) && is_slip("optimzer", "optimizer", ["optimizer"]));
        assert!(!is_slip("w3", "w1", ["w1", "w2"]) && !is_slip("Decoder", "Encoder", ["Encoder"]));
    }
}
