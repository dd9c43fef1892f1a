//! The driver at work.
