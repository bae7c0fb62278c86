//! The lineage stage.
