//! Tests of the store over both backends.

mod append;
mod crash;
mod full;
mod model;
mod property;
mod rate;
mod retain;
mod scope;
