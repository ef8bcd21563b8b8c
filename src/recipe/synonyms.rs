//! What other programs call the fields and choices of a recipe, so that "`hidden_size` is `width` here" can be said.
//!
//! Invariant: every path and every choice on the right side is one of the schema; a test holds that.

/// Another program's name for a field, and the field's path.
pub const FIELD_SYNONYMS: &[(&str, &str)] = &[];

/// Another program's name for a choice, and ours.
pub const VARIANT_SYNONYMS: &[(&str, &str)] = &[];
