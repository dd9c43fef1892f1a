#!/bin/sh
# Fuzzes targets for some seconds each, starting from fuzz/seeds. Fails if one input does.
#   fuzz/run.sh [SECONDS [TARGET...]]    60 seconds and what reads from the network by default. `config`, the grammars of
#                                        settings, is for when it is asked for: all of the daemon is built for it.
set -eu
seconds=${1:-60}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- bfd bfd_sessions bgp frames mutations session
cd "$(dirname "$0")"

if ! rustup toolchain list | grep -q '^nightly'; then
    echo "fuzzing needs a nightly toolchain: rustup toolchain install nightly --profile minimal" >&2
    exit 1
fi
# From /, where no .cargo/config.toml of ours makes the tool a static binary.
cargo fuzz --version >/dev/null 2>&1 || (cd / && cargo install cargo-fuzz --locked)

# The daemon is linked statically (.cargo/config.toml), which sanitizers cannot be. RUSTFLAGS in the environment take
# the place of all rustflags in that file, and an explicit target keeps them away from build scripts.
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-C target-feature=-crt-static"

for target; do
    mkdir -p "corpus/$target" "seeds/$target"
    echo "== $target, $seconds s"
    case $target in
        config) features=--features=config ;;
        *) features= ;;
    esac
    # shellcheck disable=SC2086  # none, or one
    cargo +nightly fuzz run --fuzz-dir . --target "$host" $features "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4200 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1
done
