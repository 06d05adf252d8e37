//! The disk double that forgets what was not synced.
