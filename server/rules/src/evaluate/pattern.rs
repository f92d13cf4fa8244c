//! The regular expressions of a program, compiled.
//!
//! Patterns written as literals are compiled with the program. Others are compiled when they are met, and up to
//! [`DYNAMIC_PATTERNS_MAX`] of them are kept. What a pattern means is [`re2`]'s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;

use super::fault::Fault;
use crate::re2;

/// How many patterns that are no literals are kept compiled.
pub const DYNAMIC_PATTERNS_MAX: usize = 128;

/// What a pattern is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PatternUse {
    /// The whole text must match.
    Full,
    /// Matches are looked for in the text.
    Find,
}

/// Compiles a pattern.
pub(crate) fn compile(pattern: &str, usage: PatternUse) -> Result<Regex, Fault> {
    match usage {
        PatternUse::Full => re2::compile_full(pattern),
        PatternUse::Find => re2::compile(pattern),
    }
    .map_err(|error| Fault::InvalidPattern(error.to_string().into()))
}

/// Compiled patterns by what they are for and their text.
type Compiled = HashMap<(PatternUse, Box<str>), Result<Arc<Regex>, Fault>>;

/// The patterns that are not literals and were met so far.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    dynamic: Mutex<Compiled>,
}

impl Patterns {
    /// The compiled pattern.
    pub(crate) fn get(&self, pattern: &str, usage: PatternUse) -> Result<Arc<Regex>, Fault> {
        let key = (usage, Box::from(pattern));
        let known = {
            // The map is whole between any two statements, so that a panic elsewhere does not matter.
            let dynamic = self.dynamic.lock().unwrap_or_else(PoisonError::into_inner);
            dynamic.get(&key).cloned()
        };
        if let Some(known) = known {
            return known;
        }
        // Compiled outside of the lock: it takes long.
        let compiled = compile(pattern, usage).map(Arc::new);
        if pattern.len() > re2::PATTERN_BYTES_MAX {
            return compiled;
        }
        let mut dynamic = self.dynamic.lock().unwrap_or_else(PoisonError::into_inner);
        if dynamic.len() >= DYNAMIC_PATTERNS_MAX {
            dynamic.clear();
        }
        dynamic.insert(key, compiled.clone());
        compiled
    }
}
