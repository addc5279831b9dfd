# Index the documents in data/docs and ask them three questions; `make demo` runs this.
set -eu
export MINISEARCH_INDEX="$INDEX"

run() {
    printf '\n$ minisearch'
    for word in "$@"; do
        case $word in *' '*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    "$BIN/minisearch" "$@"
}

run index data/docs
run query "baguette is rock solid the next morning" -k 2
run query "undo my last commit but keep the changes" -k 2
run query "physics of gorgeous dusk hues" -k 2

cat <<END

Now try it on your own files:

  . $BIN/activate
  minisearch index ~/Documents/notes     # makes .minisearch here; later runs embed only what changed
  minisearch query "what did we decide about the roof"
  minisearch open 1                      # the first result in your editor; get 1 prints its section
  minisearch query "what did we decide about the roof" --json | head -1
  minisearch status
END
