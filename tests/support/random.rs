//! Random numbers that a seed repeats.

/// Random numbers that a seed repeats (splitmix64).
pub struct Random(u64);

impl Random {
    /// From `RETENTIOND_SEED`, or one that is printed for a replay.
    pub fn seeded(what: &str) -> Self {
        let seed = std::env::var("RETENTIOND_SEED").ok().map_or_else(
            || u64::from_le_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap()),
            |seed| seed.parse().expect("RETENTIOND_SEED is a number"),
        );
        eprintln!("{what}: RETENTIOND_SEED={seed}");
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of two.
    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// A number below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let place = self.below(all.len() as u64);
        &all[usize::try_from(place).unwrap()]
    }
}
