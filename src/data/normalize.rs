//! Simplifying text before it is cut into words.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Which simplifications apply; they run in the order of [`Normalizer::apply`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // five independent switches of the recipe
pub struct Normalizer {
    /// Replace `` and '' by ".
    pub quotes: bool,
    /// Lower case.
    pub lowercase: bool,
    /// Decompose (NFD instead of NFKC) and remove combining marks.
    pub strip_accents: bool,
    /// Remove every character outside ASCII, last.
    pub ascii: bool,
    /// Collapse runs of spaces into one.
    pub collapse_spaces: bool,
}

impl Normalizer {
    /// The simplified text: quotes, NFD or NFKC, lower case, accents, spaces, ASCII, in this order.
    pub fn apply(&self, text: &str) -> String {
        let quoted = if self.quotes { text.replace("``", "\"").replace("''", "\"") } else { text.to_owned() };
        let mut out = if quoted.is_ascii() { quoted } else { self.compose(&quoted) };
        if self.lowercase {
            out = lower(&out);
        }
        if self.strip_accents {
            out.retain(|c| !is_combining_mark(c));
        }
        if self.collapse_spaces {
            collapse(&mut out);
        }
        if self.ascii {
            out.retain(|c| c.is_ascii());
        }
        out
    }

    /// The canonical form before letters change: decomposed if accents go, else composed.
    fn compose(self, text: &str) -> String {
        if self.strip_accents { text.nfd().collect() } else { text.nfkc().collect() }
    }

    /// The same steps for `tokenizer.json`, so that the file can be used without this program.
    pub(super) fn components(self) -> Value {
        let replace = |kind: &str, from: &str, to: &str| json!({"type": "Replace", "pattern": {kind: from}, "content": to});
        let steps = [
            self.quotes.then(|| replace("String", "``", "\"")),
            self.quotes.then(|| replace("String", "''", "\"")),
            Some(json!({"type": if self.strip_accents { "NFD" } else { "NFKC" }})),
            self.lowercase.then(|| json!({"type": "Lowercase"})),
            self.strip_accents.then(|| json!({"type": "StripAccents"})),
            self.collapse_spaces.then(|| replace("Regex", " {2,}", " ")),
            self.ascii.then(|| replace("Regex", r"[^\x00-\x7F]", "")),
        ];
        json!({"type": "Sequence", "normalizers": steps.into_iter().flatten().collect::<Vec<_>>()})
    }
}

/// Lower case letter by letter, as the tokenizer library does it (no final sigma).
fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().flat_map(char::to_lowercase).collect() }
}

/// Leaves one space of each run.
fn collapse(text: &mut String) {
    let mut before = '\n';
    text.retain(|c| {
        let keep = c != ' ' || before != ' ';
        before = c;
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Normalizer = Normalizer { quotes: true, lowercase: true, strip_accents: true, ascii: true, collapse_spaces: true };

    #[test]
    fn each_step_shows() {
        assert_eq!(ALL.apply("``Déjà   Vu'' ½\u{2192}"), "\"deja vu\" ");
        assert_eq!(Normalizer::default().apply("ﬁn  ``É''"), "fin  ``É''");
    }

    #[test]
    fn runs_are_collapsed_before_foreign_characters_go() {
        assert_eq!(ALL.apply("a → b"), "a  b");
    }

    proptest! {
        #[test]
        fn ascii_text_is_normalised_once_and_for_all(text in "[ -~\n]{0,60}") {
            let once = ALL.apply(&text);
            prop_assert_eq!(ALL.apply(&once), once);
        }

        #[test]
        fn the_tokenizer_file_normalises_alike(text in "[ -~À-ɏΑ-ωА-я½ﬁ　→`' ]{0,30}", switches in any::<[bool; 5]>()) {
            let [quotes, lowercase, strip_accents, ascii, collapse_spaces] = switches;
            let ours = Normalizer { quotes, lowercase, strip_accents, ascii, collapse_spaces };
            let theirs: tokenizers::NormalizerWrapper = serde_json::from_value(ours.components()).unwrap();
            let mut out = tokenizers::NormalizedString::from(text.as_str());
            tokenizers::Normalizer::normalize(&theirs, &mut out).unwrap();
            prop_assert_eq!(ours.apply(&text), out.get());
        }

        #[test]
        fn the_result_is_ascii_where_asked(text in "\\PC{0,40}") {
            prop_assert!(ALL.apply(&text).is_ascii());
        }
    }
}
