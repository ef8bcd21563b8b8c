//! The codes of diagnostics, each with its page in `grammar/errors`, which `cramplan explain CODE` prints.
//!
//! Invariant: every diagnostic has one of these codes; a test holds that each has a page whose example fails with it.

use std::fmt;

/// Declares the codes with their slugs; the page is the file of that name.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $slug:literal;)+) => {
        /// What kind of finding a diagnostic is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[doc = $doc])+ $code,)+ }

        impl Code {
            /// Every code, in the order of the stages that report them.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The slug that stands in messages and JSON; never changed once released.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $slug,)+ }
            }

            /// What it is, in one line.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$code => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// The page that explains it, Markdown.
            pub fn page(self) -> &'static str {
                match self { $(Self::$code => include_str!(concat!("../../grammar/errors/", $slug, ".md")),)+ }
            }
        }
    };
}

codes! {
    /// Something stands where the grammar does not allow it.
    SyntaxUnexpected = "syntax-unexpected";
    /// Two entries without a comma between them.
    SyntaxMissingComma = "syntax-missing-comma";
    /// A field, an operator or the whole file lacks its value.
    SyntaxMissingValue = "syntax-missing-value";
    /// A bracket or a comment that does not end.
    SyntaxUnclosed = "syntax-unclosed";
    /// A text or character that cannot be read.
    SyntaxString = "syntax-string";
    /// A number that cannot be read.
    SyntaxNumber = "syntax-number";
    /// Something that RON has and recipes do not.
    SyntaxUnsupported = "syntax-unsupported";
    /// Values nested, or names multiplied, beyond the limits.
    SyntaxDepth = "syntax-depth";
    /// Letters after a number that are no unit.
    UnknownUnit = "unknown-unit";
    /// Arithmetic without a result.
    Arithmetic = "arithmetic";
    /// A name in arithmetic that no `let` above defines.
    UnknownName = "unknown-name";
    /// A `let` name defined twice.
    DuplicateLet = "duplicate-let";
    /// A `let` name that nothing uses.
    UnusedLet = "unused-let";
    /// A field given twice in one struct.
    DuplicateField = "duplicate-field";
    /// An import that cannot be read or does not fit.
    ImportFailed = "import-failed";
    /// Files that import each other.
    ImportCycle = "import-cycle";
    /// A `--set` that is not `path=value`.
    BadOverride = "bad-override";
    /// A `--set` whose path leads nowhere.
    BadPath = "bad-path";
    /// A field that its struct does not have.
    UnknownField = "unknown-field";
    /// A choice that does not exist.
    UnknownVariant = "unknown-variant";
    /// A required field that is not given.
    MissingField = "missing-field";
    /// A value of another kind or dimension than the field wants.
    WrongType = "wrong-type";
    /// A value outside the field's range.
    OutOfRange = "out-of-range";
    /// A recipe name that cannot name a directory.
    BadName = "bad-name";
    /// A budget without a limit.
    NoBudget = "no-budget";
    /// A corpus without a source.
    NoSource = "no-source";
    /// Attention heads that do not divide the width.
    HeadsDivideWidth = "heads-divide-width";
    /// A gated feed-forward width that has no half.
    OddIntermediate = "odd-intermediate";
    /// Heads of an odd width with rotary positions.
    OddHead = "odd-head";
    /// A table of positions shorter than the sequence.
    ShortTable = "short-table";
    /// A masking rate that masks no token of a sequence.
    NothingMasked = "nothing-masked";
    /// Fewer positions predicted than masked.
    MaskedUnpredicted = "masked-unpredicted";
    /// A micro-batch larger than the batch.
    MicroBatchExceedsBatch = "micro-batch-exceeds-batch";
    /// A batch that is not a whole number of micro-batches.
    BatchRoundedUp = "batch-rounded-up";
    /// A batch that no fair micro-batch divides.
    BatchWithoutDivisors = "batch-without-divisors";
    /// An interval longer than the budget.
    NeverDue = "never-due";
    /// A cooldown that the budget does not foresee.
    CooldownUnforeseen = "cooldown-unforeseen";
    /// A piecewise schedule without points, or with points out of order.
    SchedulePoints = "schedule-points";
    /// A warm-up or a batch ramp that the end of the budget cuts off.
    NeverOver = "never-over";
    /// A token budget of 20 tokens a parameter for a masked model.
    ChinchillaRatio = "chinchilla-ratio";
    /// A device that the catalog does not have.
    UnknownDevice = "unknown-device";
    /// A step that does not fit in the device's memory.
    OutOfMemory = "out-of-memory";
    /// A budget that does not buy a single step.
    NoStep = "no-step";
    /// Time that is over before the first step is done.
    NoTime = "no-time";
    /// Text that does not give what the recipe wants of it.
    BadText = "bad-text";
    /// A recipe that cannot be opened.
    Unreadable = "unreadable";
}

impl Code {
    /// The code of a slug.
    pub fn find(slug: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == slug)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, slug: &&str) -> bool {
        self.as_str() == *slug
    }
}
