//! Cutters with a ceiling.
