//! Ironbark.
