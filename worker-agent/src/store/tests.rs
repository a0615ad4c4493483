//! The store against a registry that serves images made by hand, and against another unpacker.

mod chains;
mod collecting;
mod damage;
mod preparing;
mod reference;
mod registry;
