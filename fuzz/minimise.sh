#!/usr/bin/env bash
# Makes a find of the fuzzer as small as it gets, keeps it in the corpus, and says which test to write.
#
#     fuzz/minimise.sh TARGET FILE NAME
#
# TARGET is a fuzz target (`cargo +nightly fuzz list`), FILE what it failed for, NAME what the file is called in
# corpus/TARGET/ from then on: a few words with hyphens that say what is wrong. MINIMISE_SECONDS (60) is the time it
# may take. A find that no longer fails is kept as it is: it failed once.
set -euo pipefail

if [ $# != 3 ] || [ ! -f "$2" ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 64
fi
target=$1 find=$(realpath "$2") name=$3
cd "$(dirname "$0")/.."
if [ ! -d "corpus/$target" ]; then
    echo "there is no target $target: see \`cargo +nightly fuzz list\`" >&2
    exit 64
fi
if [[ ! $name =~ ^[a-z0-9]+(-[a-z0-9]+)*$ ]] || [ -e "corpus/$target/$name" ]; then
    echo "$name: a name is lower-case words with hyphens, and corpus/$target/ must not have it yet" >&2
    exit 64
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$find" "$scratch/smallest"
cargo +nightly fuzz build --release "$target"
program=fuzz/target/$(rustc +nightly -vV | sed -n 's/^host: //p')/release/$target
if "$program" "$scratch/smallest" >/dev/null 2>&1; then
    echo "it does not fail (any more): kept as it is"
else
    "$program" -minimize_crash=1 -max_total_time="${MINIMISE_SECONDS:-60}" \
        -exact_artifact_path="$scratch/smaller" "$scratch/smallest" >/dev/null 2>&1 || true
    [ ! -s "$scratch/smaller" ] || mv "$scratch/smaller" "$scratch/smallest"
fi
echo "from $(stat -c %s "$find") to $(stat -c %s "$scratch/smallest") octets: corpus/$target/$name"
cp "$scratch/smallest" "corpus/$target/$name"

cat <<TEST

Now write the test first, see it fail, and mend what is wrong. In tests/regress.rs:

    #[test]
    fn $(echo "$name" | tr - _)() {
        keeps_its_promise("$target", "$name");
    }
TEST
