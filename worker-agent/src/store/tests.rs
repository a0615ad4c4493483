//! Tests of the store with a registry that serves images made by hand, and in comparison with another unpacker.

mod chains;
mod damage;
mod garbage;
mod preparing;
mod reference;
mod registry;
