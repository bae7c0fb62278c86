//! The rollback stage.
