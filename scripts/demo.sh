# Index the documents in data/docs and ask them three questions; `make demo` runs this.
set -eu
export MINISEARCH_INDEX="$INDEX"

say() { printf '\n$ minisearch %s\n' "$*"; }

say index data/docs
"$BIN/minisearch" index data/docs

for question in "$@"; do
    say "query \"$question\" -k 3"
    "$BIN/minisearch" query "$question" -k 3
done
