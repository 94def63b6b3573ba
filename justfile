# Lists the recipes.
default:
    @just --list

# All that must hold: what CI runs.
check:
    ./test

# Formats what can be formatted.
fmt:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    taplo fmt

# Runs the tests whose names contain the arguments, or all of them.
test *ARGS:
    cargo nextest run --workspace --all-features {{ ARGS }}

# Runs the simulation from the first N seeds. OUTLIVE_SIM_SEED=S repeats one.
sim N="100000":
    OUTLIVE_SIM_SEEDS={{ N }} cargo test --release -p outlive-runtime --test simulation -- --nocapture

# Measures, each figure beside its reference.
bench:
    cargo run --release -- bench

# Fuzzes every target, so many seconds each.
fuzz SECONDS="60":
    ./fuzz/run {{ SECONDS }}
