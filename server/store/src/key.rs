//! The order-preserving encoding of values and paths.
