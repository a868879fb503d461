#!/bin/sh
# Builds rathole 0.5.0 from its crate with Debian 13's cargo (1.85) and leaves the binary at $1.
#
# `cargo install` does not do: with --locked the lock's `time` 0.3.29 does not compile on Rust 1.80 or newer, without it
# the newest dependencies want a newer Rust than 1.85. So: rathole's own lock but for that one crate. Without hot reload
# (one inotify instance per process, of which a user has 128), TLS and websocket.
set -eu
target=$1
work=$(mktemp -d)

# A crate that depends on rathole makes cargo fetch its source and check it against the index.
mkdir "$work/src"
: >"$work/src/lib.rs"
cat >"$work/Cargo.toml" <<END
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[dependencies]
rathole = "=0.5.0"
END
cargo fetch --manifest-path "$work/Cargo.toml"

cp -r "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/rathole-0.5.0 "$work/rathole"
cd "$work/rathole"
cargo update time --precise 0.3.36
cargo build --release --locked --no-default-features --features server,client,noise
install -D target/release/rathole "$target"
strip "$target"
cd /
rm -rf "$work" "${CARGO_HOME:-$HOME/.cargo}/registry"
