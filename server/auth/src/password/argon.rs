//! Argon2 and its text form, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::AuthError;
use crate::options::HashCost;
use crate::secret::is_equal;

/// Bytes of a hash of ours.
const HASH_BYTES: usize = 32;
/// KiB of memory that an imported hash may want: what one thread holds at most while it checks it.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Passes that an imported hash may want.
const PASSES_MAX: u32 = 64;
/// Lanes that an imported hash may want; they are computed one after the other.
const LANES_MAX: u32 = 16;

/// The memory of one hash, used again for the next.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// Whether it takes no room.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        &mut self.0[..count]
    }
}

/// A stored hash, taken apart.
struct Parts {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

pub(super) fn hash(
    password: &[u8],
    salt: &[u8],
    cost: HashCost,
    memory: &mut Memory,
) -> Result<String, AuthError> {
    let failed = |error: argon2::Error| AuthError::Internal(format!("hashing a password: {error}"));
    let params = Params::new(
        cost.memory_kib,
        cost.passes,
        Params::DEFAULT_P_COST,
        Some(HASH_BYTES),
    )
    .map_err(failed)?;
    let blocks = memory.blocks(params.block_count());
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, &mut hash, blocks)
        .map_err(failed)?;
    Ok(format!(
        "$argon2id$v=19$m={},t={},p=1${}${}",
        cost.memory_kib,
        cost.passes,
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(hash)
    ))
}

/// Whether the password is that of the hash; `None` if the hash is none that can be checked.
pub(super) fn verify(password: &[u8], stored: &str, memory: &mut Memory) -> Option<bool> {
    let parts = parse(stored)?;
    let blocks_count = parts.params.block_count();
    let mut hash = vec![0; parts.hash.len()];
    Argon2::new(parts.algorithm, parts.version, parts.params)
        .hash_password_into_with_memory(password, &parts.salt, &mut hash, memory.blocks(blocks_count))
        .ok()?;
    Some(is_equal(&hash, &parts.hash))
}

/// Whether a hash is at least what new ones are.
pub(super) fn is_as_strong(stored: &str, cost: HashCost) -> bool {
    parse(stored).is_some_and(|parts| {
        matches!(parts.algorithm, Algorithm::Argon2id)
            && matches!(parts.version, Version::V0x13)
            && parts.params.m_cost() >= cost.memory_kib
            && parts.params.t_cost() >= cost.passes
    })
}

/// Whether a hash can be checked here.
pub(super) fn is_valid(stored: &str) -> bool {
    parse(stored).is_some()
}

fn parse(stored: &str) -> Option<Parts> {
    let mut fields = stored.strip_prefix('$')?.split('$');
    let algorithm = match fields.next()? {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        "argon2d" => Algorithm::Argon2d,
        _ => return None,
    };
    let mut field = fields.next()?;
    let mut version = Version::V0x10;
    if let Some(number) = field.strip_prefix("v=") {
        version = match number {
            "19" => Version::V0x13,
            "16" => Version::V0x10,
            _ => return None,
        };
        field = fields.next()?;
    }
    let (mut memory, mut passes, mut lanes) = (None, None, None);
    for pair in field.split(',') {
        let (name, number) = pair.split_once('=')?;
        let number: u32 = number.parse().ok()?;
        match name {
            "m" => memory = Some(number).filter(|memory| *memory <= MEMORY_KIB_MAX),
            "t" => passes = Some(number).filter(|passes| *passes <= PASSES_MAX),
            "p" => lanes = Some(number).filter(|lanes| *lanes <= LANES_MAX),
            _ => return None,
        }
    }
    let salt = STANDARD_NO_PAD.decode(fields.next()?).ok()?;
    let hash = STANDARD_NO_PAD.decode(fields.next()?).ok()?;
    let params = Params::new(memory?, passes?, lanes?, Some(hash.len())).ok()?;
    let is_sane = fields.next().is_none() && salt.len() >= 8 && (16..=64).contains(&hash.len());
    is_sane.then_some(Parts {
        algorithm,
        version,
        params,
        salt,
        hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost {
        memory_kib: 64,
        passes: 1,
    };

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let mut memory = Memory::default();
        let stored = hash(b"secret", &[7; 16], CHEAP, &mut memory).unwrap();
        assert_eq!(verify(b"secret", &stored, &mut memory), Some(true));
        assert_eq!(verify(b"Secret", &stored, &mut memory), Some(false));
        assert!(is_as_strong(&stored, CHEAP));
        assert!(!is_as_strong(&stored, HashCost { passes: 2, ..CHEAP }));
    }

    #[test]
    fn the_reference_implementation_agrees() {
        // Of the reference implementation's own tests: `password`, `somesalt`.
        let mut memory = Memory::default();
        for (stored, is_right) in [
            (
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                true,
            ),
            (
                "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
                true,
            ),
            (
                "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv2cDc",
                false,
            ),
        ] {
            assert_eq!(
                verify(b"password", stored, &mut memory),
                Some(is_right),
                "{stored}"
            );
        }
    }

    #[test]
    fn hashes_that_are_none_or_cost_too_much_are_not_checked() {
        for stored in [
            "",
            "$argon2id",
            "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=64,t=4000000000,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=18$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
        ] {
            assert!(!is_valid(stored), "{stored}");
        }
    }
}
