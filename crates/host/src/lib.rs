//! golden-generation.
