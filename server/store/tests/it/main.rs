//! Tests of the store crate through its public interface.

mod index;
mod key;
mod memory;
mod values;
