//! Drivers of the announcers.
