//! The command `retentiond`.

fn main() {}
