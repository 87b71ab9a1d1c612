#!/bin/sh
# Restores the data of this device with nothing but sh, zstd and tar; see RECOVERY.txt beside this file.
#
# The packs, decompressed and joined in order, are one tar stream. A group is the smallest run of packs that
# is readable by itself: it begins at a pack whose first byte begins a tar member. Where a pack is missing or
# damaged its whole group is left out: a hole inside a member would shift all that tar reads behind it.
# All sound groups go through one pipe into one tar, so that the times of directories survive.
# On an encrypted device (age) each file goes through age first; the job's identity, which keys/job.age holds
# for those the device is meant for, is kept in a private file outside of the device while this runs.
# The device is only read.
#
# Exit status: 0 every known pack is restored; 1 something is not, it is said what; 2 wrong use, or no tools.

usage='usage: sh recover.sh [--fast] [--identity KEY] DESTINATION
       sh recover.sh [--fast] [--identity KEY] --list
  DESTINATION  a directory that exists, best an empty one, not on the device
  --list       name what is on the device instead of restoring it
  --identity   what opens an encrypted device: an age identity file or an SSH private key;
               without it age asks for the unlock code
  --fast       do not test each pack before it is used; all ends at the first damaged one'

say() { printf 'recover.sh: %s\n' "$1" >&2; }

refuse() {
    say "$1"
    exit 2
}

# The true path of a directory, whatever its name begins or ends with, in $path.
true_path() {
    case $1 in
    /*) path=$1 ;;
    *) path=./$1 ;;
    esac
    path=$(CDPATH='' cd "$path" 2>/dev/null && pwd -P && printf x) || return 1
    path=${path%?x}
}

# 1,024 zero bytes: the end of a tar archive, and an empty archive by itself.
zeros() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        printf '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
        printf '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
    done
}

tar_accepts() { zeros | "$tar" -t "$@" -f - >/dev/null 2>&1; }

# A tar that reads on behind an end-of-archive. One that cannot would drop all but the first group without
# a word; such tars (busybox) also cut names over 100 bytes.
find_tar() {
    for tar in ${TAR:+"$TAR"} gtar tar bsdtar; do
        command -v "$tar" >/dev/null 2>&1 && tar_accepts --ignore-zeros && return
    done
    refuse 'no tar here knows --ignore-zeros; install GNU tar, or name one: TAR=/path/to/tar'
}

# --- an encrypted device ---

# Finds out whether the device is encrypted, and opens the job's identity. $age is then the suffix of names.
open_device() {
    age=
    [ -e keys/job.age ] || {
        for file in packs/*.age segments/*.age; do
            [ -e "$file" ] && refuse 'this device is encrypted and its keys/job.age is gone: nothing opens it'
        done
        [ -z "$identity" ] || say 'this device is not encrypted: --identity is not needed'
        return
    }
    age=.age
    command -v age >/dev/null 2>&1 || refuse 'this device is encrypted, and there is no age here; install it'
    command -v mktemp >/dev/null 2>&1 || refuse 'there is no mktemp here; decrypt by hand, see RECOVERY.txt'
    secrets=$(umask 077 && mktemp -d) || refuse 'no private directory can be made for the key'
    trap 'rm -rf "$secrets"' EXIT
    trap 'exit 1' HUP INT TERM
    if [ -n "$identity" ]; then
        age -d -i "$identity" keys/job.age >"$secrets/job.key" || refuse 'this key does not open the device'
    else
        age -d keys/job.age >"$secrets/job.key" || refuse 'the device was not opened; give --identity KEY'
    fi
}

decrypt() { age -d -i "$secrets/job.key" "$1" 2>/dev/null; }

# What file $1 holds, decrypted and decompressed; with $2 = -t it is only tested.
open_file() {
    if [ -z "$age" ]; then
        zstd "$2" -qc "$1"
        return
    fi
    # POSIX sh has no pipefail: what failed is told on descriptor 6, beside the content on 7.
    {
        failed=$({
            { decrypt "$1" || printf age >&6; } | { zstd "$2" -qc >&7 || printf zstd >&6; }
        } 6>&1)
    } 7>&1
    [ -z "$failed" ]
}

# --- what is on the device ---

# Raises $last to the highest number among the given files.
raise_last() {
    for file in "$@"; do
        [ -e "$file" ] || continue
        name=${file##*/}
        name=${name%%.*}
        while [ "${name#0}" != "$name" ] && [ "$name" != 0 ]; do name=${name#0}; done
        [ "$name" -gt "$last" ] && last=$name
    done
}

# Does the seal list pack number $1? Only packs are named N.tar.zst or N.tar.zst.age; zstd stands in for cat, there is no other.
is_sealed() {
    name=$(printf '%08d.tar.zst%s' "$1" "$age")
    case $seal in
    *"\"packs/$name\""* | *"\"name\":\"$name\""* | *"\"name\": \"$name\""*) return 0 ;;
    esac
    return 1
}

find_last() {
    last=-1
    raise_last packs/[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9].tar.zst"$age"
    raise_last segments/[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9].jsonl.zst"$age"
    seal=
    if [ -f SEAL.json ]; then
        seal=$(zstd -qc SEAL.json | zstd -dqc) || say 'SEAL.json cannot be read'
        while is_sealed $((last + 1)); do last=$((last + 1)); done
    else
        say 'there is no SEAL.json: packs missing at the end of the device cannot be noticed'
    fi
    case $seal in
    *'"complete":false'* | *'"complete": false'*) say 'the device was sealed before its copy was complete' ;;
    esac
}

# The facts of pack $number out of the first line of its segment: $starts, $ends (yes, no, unknown), $size.
read_header() {
    starts=unknown ends=unknown size=
    line=$(open_file "segments/$number.jsonl.zst$age" -d 2>/dev/null | {
        IFS= read -r line && printf '%s' "$line"
    })
    case $line in
    '{"kind":"segment",'*) ;;
    *)
        say "segment $number is missing or damaged: pack $number is taken to continue the pack before it"
        return
        ;;
    esac
    case $line in
    *'"starts_with_member":true'*) starts=yes ;;
    *) starts=no ;;
    esac
    case $line in
    *'"ends_with_member":true'*) ends=yes ;;
    *) ends=no ;;
    esac
    size=${line#*'"pack_size_bytes":'}
    size=${size%%[!0-9]*}
}

# Is pack $number there, as long as its segment says, and sound? A cut between two frames shows in the length
# alone; a zstd that does not tell it in bytes is believed.
is_sound() {
    pack=packs/$number.tar.zst$age
    if ! [ -f "$pack" ]; then
        say "pack $number is missing"
        return 1
    fi
    if [ -n "$size" ] && [ -z "$age" ]; then  # age finds a cut by itself
        told=$(zstd -lv "$pack" 2>/dev/null)
        case $told in
        *'Compressed Size: '*"($size B)"*) ;;
        *'Compressed Size: '*'('*' B)'*)
            say "pack $number is damaged: it does not have the $size bytes it was written with"
            return 1
            ;;
        esac
    fi
    [ -n "$fast" ] || open_file "$pack" -t 2>/dev/null || {
        say "pack $number is damaged"
        return 1
    }
}

# --- from the device to tar ---

# Sends the packs from $first up to, without, $next to tar, or counts them as lost if one of them is $broken.
send_group() {
    range=$(printf '%08d to %08d' "$first" $((next - 1)))
    if [ -n "$broken" ]; then
        say "left out: packs $range, which can only be read together"
        lost="$lost, $range"
        return
    fi
    [ -t 2 ] && say "packs $range of $last"
    while [ "$first" -lt "$next" ]; do
        pack=packs/$(printf '%08d' "$first").tar.zst$age
        open_file "$pack" -d || {
            say "stopped: $pack could not be read to its end"
            return 1
        }
        first=$((first + 1))
    done
}

# Writes the tar stream on standard output; on descriptor 3, once at the end of it, `fed` and what was lost.
feed() {
    first=0 next=0 broken='' lost=''
    while [ "$next" -le "$last" ]; do
        number=$(printf '%08d' "$next")
        read_header
        if [ "$starts" = yes ] && [ "$next" -gt 0 ]; then
            send_group || return
            first=$next broken=''
        fi
        is_sound || broken=yes
        next=$((next + 1))
    done
    send_group || return
    if [ "$ends" = no ] && [ -z "$broken" ]; then
        say 'the device ends in the middle of a file: the last name that --list shows is cut short'
        lost="$lost, what follows pack $number"
    else
        zeros
    fi
    printf 'fed%s\n' "$lost" >&3
}

run_tar() {
    # Names are bytes. GNU tar turns them into the locale's charset; in C it has none. bsdtar in a UTF-8 locale
    # makes one file of two whose names differ in Unicode normalisation only; in C it leaves names as they are.
    LC_ALL=C && export LC_ALL
    set -- --ignore-zeros
    for option in --warning=no-unknown-keyword --xattrs '--xattrs-include=*'; do
        tar_accepts "$@" "$option" && set -- "$@" "$option"
    done
    if [ -n "$list" ]; then
        "$tar" -t "$@" -f -
    else
        "$tar" -x -p "$@" -C "$destination" -f -
    fi
}

# --- the command ---

fast='' list='' identity=''
while :; do
    case ${1-} in
    --fast) fast=yes ;;
    --list) list=yes ;;
    --identity)
        [ -n "${2-}" ] || refuse "--identity wants the file of a key
$usage"
        identity=$2
        shift
        ;;
    --help | -h) printf '%s\n' "$usage" && exit 0 ;;
    --) shift && break ;;
    -*) refuse "unknown option $1; a directory of this name is ./$1
$usage" ;;
    *) break ;;
    esac
    shift
done
[ $# = "$([ -n "$list" ] && echo 0 || echo 1)" ] || refuse "$usage"

case $0 in
*/*) device=${0%/*}/ ;;
*) device=. ;;
esac
true_path "$device" || refuse "cannot enter the device's directory $device"
device=$path
if [ -z "$list" ]; then
    [ -n "$1" ] || refuse "$usage"
    true_path "$1" || refuse "the destination $1 is not a directory; make it first: mkdir"
    destination=$path
    case $destination/ in
    "${device%/}"/*) refuse "the destination $destination is on the device itself; choose another place" ;;
    esac
    [ -w "$destination" ] || refuse "the destination $destination cannot be written to"
fi
command -v zstd >/dev/null 2>&1 || refuse 'there is no zstd here; install it: the packs are compressed with it'
find_tar
case $identity in
'' | /*) ;;
*) identity=$PWD/$identity ;;
esac
cd "$device" || refuse "cannot enter the device's directory $device"
[ -d packs ] || [ -d segments ] || [ -f DEVICE.json ] || refuse "$device is not a device: it has no packs"

open_device
find_last
if [ "$last" -lt 0 ]; then
    say 'this device holds no packs: there is nothing to restore'
    exit 0
fi
# POSIX sh has no pipefail: both sides of the pipe tell how they ended on descriptor 3.
exec 4>&1
outcome=$({ feed | {
    run_tar >&4 3>&-
    printf 'tar %s\n' "$?" >&3
}; } 3>&1)
fed=no tar_status=none lost=''
while IFS= read -r line; do
    case $line in
    fed*) fed=yes lost=${line#fed} ;;
    'tar '*) tar_status=${line#tar } ;;
    esac
done <<OUTCOME
$outcome
OUTCOME

[ -z "$lost" ] || say "LOST: packs ${lost#, }; the segment of the same number names what was in one"
[ "$tar_status" = 0 ] || say "$tar ended with status $tar_status: see what it said above; when all it said is
  that names cannot be converted from UTF-8, it restored them all the same, byte for byte"
[ $fed = yes ] || say 'not everything was read: free space, look for the reason above, and start again'
[ -z "$lost" ] && [ "$tar_status" = 0 ] && [ $fed = yes ]
