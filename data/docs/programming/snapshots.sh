#!/bin/sh
# Nightly snapshots of a folder with rsync and hard links.
#
# Every night gets a folder of its own that looks like a complete copy, yet only files that changed since
# the night before take up space. A file that did not change is a hard link to the same blocks on disk;
# they are freed when the last night that holds it is deleted. Thirty nights of a 200 GB home folder with
# 1 GB of daily changes need about 230 GB.
#
# Restoring needs no program: open the folder of the right day and copy the file back.
#
# usage: snapshots.sh SOURCE TARGET [NIGHTS]
set -eu

source=${1:?which folder should be saved}
target=${2:?where should the snapshots go}
nights=${3:-30}

# An unplugged disk leaves an empty mount point behind. Without this check the first night after would fill the
# system disk with a copy that nobody wants.
if [ ! -e "$target/THIS-IS-THE-BACKUP-DISK" ]; then
    echo "snapshots: marker file missing in $target; is the backup disk plugged in?" >&2
    exit 1
fi
target=$(cd "$target" && pwd)  # rsync reads a relative --link-dest from elsewhere

# Hard links cannot cross file systems, and FAT or exFAT disks have none at all: rsync would then quietly make
# a full copy each night until the disk is full. Better to find out now.
touch "$target/.probe"
if ! ln "$target/.probe" "$target/.probe-link" 2>/dev/null; then
    echo "snapshots: $target does not support hard links; format the disk as ext4, XFS or APFS" >&2
    rm -f "$target/.probe"
    exit 1
fi
rm -f "$target/.probe" "$target/.probe-link"

today=$(date +%Y-%m-%d)
partial="$target/.partial"

# --link-dest names the snapshot to link against. --delete matters only when resuming an interrupted night.
# The slash after the source means "what is inside", not the folder itself.
rsync --archive --delete --numeric-ids --link-dest="$target/latest" \
    --exclude=.cache --exclude=node_modules \
    "$source/" "$partial/"

# Only now does the night get its name: a dated folder is always complete, however the power failed.
rm -rf "${target:?}/$today"
mv "$partial" "$target/$today"
ln -sfn "$today" "$target/latest"

# Forget the oldest. The names sort by date, so plain ls order is the right one. Never prune by file age:
# rsync keeps the times of the source, so a folder may look twenty years old on its first day.
ls -d "$target"/20??-??-?? | sort -r | tail -n +"$((nights + 1))" | while read -r old; do
    rm -rf "$old"
done

# What this does not protect against: theft, fire, and malware that can write to the mounted disk. A hard link is
# also a single copy. If those blocks rot, the file is damaged in every snapshot at once. Keep another copy
# elsewhere.
