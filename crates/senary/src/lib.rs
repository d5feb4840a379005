//! The rooms of the program that others reach from outside it: tests, and fuzz targets.

pub mod banner;
pub mod phase;
pub mod progress;
pub mod terminal;
