//! The `vipcast` program: see `vipcast --help`.

fn main() {}
